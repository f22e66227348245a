import { describe, expect, it } from '@jest/globals';

import { peerMessage, peerMethods } from '../../common/wire/peer.ts';
import { currentDialect } from './current.ts';
import { sampleMessages, sampleResponses } from './fixtures.ts';

describe('the current dialect', () => {
  it.each(sampleResponses)('answers %s in the words of the model', (method, response) => {
    const parsed = peerMethods[method].response.parse(response);
    expect(currentDialect.answer(method, parsed)).toEqual(response);
  });

  it('has a sample of every message', () => {
    const methods = peerMessage.options.map(({ shape }) => shape.method.value);
    expect(sampleMessages.map(({ method }) => method)).toEqual(methods);
  });

  it.each(sampleMessages.map((message) => [message.method, message] as const))(
    'words %s as the model does',
    (method, message) => {
      const kind = ['newConsumer', 'newDataConsumer'].includes(method) ? 'request' : 'notification';
      const want = method === 'activeSpeaker' ? { peerId: 'ann' } : message.data;
      expect(currentDialect.message(message)).toEqual({ kind, method, data: want });
    },
  );

  it('names nobody when nobody speaks', () => {
    expect(currentDialect.message({ method: 'activeSpeaker', data: {} })?.data).toEqual({});
  });
});
