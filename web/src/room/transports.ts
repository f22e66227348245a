import type { types } from 'mediasoup-client';

import type { Direction, Signaling } from '../signaling/messages.ts';

/** How long an interrupted transport may take to come back by itself before ICE is restarted. */
const ICE_GRACE_MS = 3000;

export interface TransportOptions {
  device: types.Device;
  signaling: Signaling;
  direction: Direction;
  forceTcp: boolean;
  /** The transport failed, and restarting ICE did not help. */
  onLost: (reason: string) => void;
}

/** Makes one of the two transports, on the server and here, and keeps it connected. */
export async function openTransport(options: TransportOptions): Promise<types.Transport> {
  const { device, signaling, direction, forceTcp } = options;
  const { transportId, ...rest } = await signaling.request('createWebRtcTransport', {
    forceTcp,
    appData: { direction },
  });
  const parameters = { id: transportId, ...rest };
  const transport =
    direction === 'producer'
      ? device.createSendTransport(parameters)
      : device.createRecvTransport(parameters);
  transport.on('connect', ({ dtlsParameters }, callback, errback) => {
    signaling
      .request('connectWebRtcTransport', { transportId, dtlsParameters })
      .then(callback, errback);
  });
  if (direction === 'producer') answerProduce(transport, signaling);
  keepConnected(transport, options);
  return transport;
}

function answerProduce(transport: types.Transport, signaling: Signaling): void {
  const transportId = transport.id;
  transport.on('produce', ({ kind, rtpParameters, appData }, callback, errback) => {
    signaling
      .request('produce', { transportId, kind, rtpParameters, appData })
      .then(({ producerId }) => callback({ id: producerId }), errback);
  });
  transport.on('producedata', (parameters, callback, errback) => {
    const { sctpStreamParameters, label = '', protocol = '', appData } = parameters;
    signaling
      .request('produceData', { transportId, sctpStreamParameters, label, protocol, appData })
      .then(({ dataProducerId }) => callback({ id: dataProducerId }), errback);
  });
}

/** Restarts ICE once for each interruption; a second failure means that the whole connection is to be made anew. */
function keepConnected(transport: types.Transport, { signaling, onLost }: TransportOptions): void {
  let restarted = false;
  let grace: ReturnType<typeof setTimeout> | undefined;
  const isClosed = () => transport.closed;
  const restart = async () => {
    if (isClosed()) return;
    if (restarted) {
      onLost('media connection lost');
      return;
    }
    restarted = true;
    try {
      const { iceParameters } = await signaling.request('restartIce', {
        transportId: transport.id,
      });
      await transport.restartIce({ iceParameters });
    } catch {
      // The reason shows in what is done about it: the whole connection is made anew.
      if (!isClosed()) onLost('media connection lost');
    }
  };
  transport.observer.on('close', () => clearTimeout(grace));
  transport.on('connectionstatechange', (state) => {
    clearTimeout(grace);
    if (state === 'connected') restarted = false;
    else if (state === 'failed') void restart();
    else if (state === 'disconnected') grace = setTimeout(() => void restart(), ICE_GRACE_MS);
  });
}
