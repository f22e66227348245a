import type { ClientMessage, Dialect } from './dialect.ts';
import type { PeerMessage } from '../../common/wire/peer.ts';

/** Messages that the client answers: it makes the consumer first, and media flows after its answer. */
const isClientRequest = (method: PeerMessage['method']): boolean =>
  method === 'newConsumer' || method === 'newDataConsumer';

export const sameWords = (message: PeerMessage): ClientMessage => ({
  kind: isClientRequest(message.method) ? 'request' : 'notification',
  method: message.method,
  data: message.data,
});

/** The dialect of the present demo app. The message model took its words, so nearly nothing is left to do. */
export const currentDialect: Dialect = {
  name: 'current',
  answer: (_method, response) => response,
  message: (message) =>
    message.method === 'activeSpeaker'
      ? sameWords({
          method: 'activeSpeaker',
          data: message.data.peerId === undefined ? {} : { peerId: message.data.peerId },
        })
      : sameWords(message),
};
