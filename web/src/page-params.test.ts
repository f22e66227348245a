import { describe, expect, it } from '@jest/globals';

import { inviteAddress, randomPeerId, readPageParams } from './page-params.ts';

describe('readPageParams', () => {
  it('reads all that the address may say', () => {
    const search =
      '?room=r&name=Ada+L&peer=p1&token=t&autojoin=1&replica=1&camera=0&microphone=0&forceTcp=1&extensions=none&videoHeight=360';
    expect(readPageParams(search, 8)).toEqual({
      room: 'r',
      name: 'Ada L',
      peerId: 'p1',
      token: 't',
      autojoin: true,
      replica: 1,
      camera: false,
      microphone: false,
      forceTcp: true,
      extensions: false,
      videoHeight: 360,
    });
  });

  it('asks for everything and joins nothing by default', () => {
    expect(readPageParams('', 8)).toEqual({
      room: '',
      name: '',
      peerId: '',
      token: '',
      autojoin: false,
      replica: 0,
      camera: true,
      microphone: true,
      forceTcp: false,
      extensions: true,
      videoHeight: 720,
    });
  });

  it('asks a small machine for a small picture, unless the address says otherwise', () => {
    expect(readPageParams('', 2).videoHeight).toBe(360);
    expect(readPageParams('?videoHeight=720', 2).videoHeight).toBe(720);
  });

  it.each(['?replica=x', '?replica=-1', '?replica=1.5', '?replica='])(
    'takes %s for the first replica',
    (search) => {
      expect(readPageParams(search, 8).replica).toBe(0);
    },
  );
});

describe('inviteAddress', () => {
  it('has the room alone', () => {
    const place = { origin: 'http://host:8080', pathname: '/' };
    expect(inviteAddress(place, 'a b')).toBe('http://host:8080/?room=a+b');
  });
});

describe('randomPeerId', () => {
  it('is new each time', () => {
    const ids = Array.from({ length: 50 }, randomPeerId);
    expect(new Set(ids).size).toBe(50);
    for (const id of ids) expect(id).toMatch(/^[a-z0-9]{10}$/);
  });
});
