import { describe, expect, it } from '@jest/globals';

import { RoomMemory } from './memory.ts';

describe('RoomMemory', () => {
  it('wakes as many rooms as there are places, who has waited longest first, and all in turn', () => {
    const memory = new RoomMemory();
    for (const key of ['a', 'b', 'c']) memory.setWaiting(key, true);
    memory.setWaiting('a', true);
    expect(memory.wake(2)).toEqual(['a', 'b']);
    expect(memory.wake(2)).toEqual(['c', 'a']);
    memory.setWaiting('b', false);
    memory.forget('c');
    expect(memory.wake(10)).toEqual(['a']);
    expect(memory.wake(0)).toEqual([]);
  });

  it('begins anew for a room of the same key and another uid', () => {
    const memory = new RoomMemory();
    memory.notesOf('a', 'uid-1').noteRefusal('node', 100);
    expect([...memory.notesOf('a', 'uid-1').refusing(99)]).toEqual(['node']);
    expect([...memory.notesOf('a', 'uid-2').refusing(99)]).toEqual([]);
    expect(memory.size).toBe(1);
  });

  it('forgets a refusal in time, and the routers that a room has no more', () => {
    const notes = new RoomMemory().notesOf('a', 'uid');
    notes.noteRefusal('node', 100);
    expect([...notes.refusing(100)]).toEqual([]);
    notes.noteMade('old', 1);
    notes.noteMade('new', 2);
    expect(notes.drainingSince('old', 5)).toBe(5);
    expect(notes.drainingSince('old', 9)).toBe(5);
    expect(notes.emptyFor('new', true, 10)).toBe(0);
    expect(notes.emptyFor('new', true, 30)).toBe(20);
    expect(notes.emptyFor('new', false, 40)).toBe(0);
    expect(notes.emptyFor('new', true, 50)).toBe(0);
    notes.keepOnly(new Set(['new']));
    expect(notes.madeAt('old')).toBeUndefined();
    expect(notes.madeAt('new')).toBe(2);
    expect(notes.drainingSince('old', 20)).toBe(20);
  });
});
