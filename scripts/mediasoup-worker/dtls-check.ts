/**
 * Lets the worker that `MEDIASOUP_WORKER_BIN` names do a real ICE and DTLS handshake over loopback. A worker can pass all of
 * mediasoup's own tests and still crash at its first browser, for want of this: see `patches/`.
 *
 * Exits with 0 when the worker is good.
 */
import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import {
  IceCandidate,
  ProtectionProfileAeadAes128Gcm,
  RTCDtlsFingerprint,
  RTCDtlsParameters,
  RTCDtlsTransport,
  RTCIceGatherer,
  RTCIceParameters,
  RTCIceTransport,
} from 'werift';

/** A handshake takes some 300 ms; far more on a machine that is busy compiling. Milliseconds. */
const HANDSHAKE_TIMEOUT = 15_000;
const LOOPBACK = '127.0.0.1';

async function connectIce(server: types.WebRtcTransport): Promise<RTCIceTransport> {
  const ice = new RTCIceTransport(
    new RTCIceGatherer({ additionalHostAddresses: [LOOPBACK], useIpv6: false }),
  );
  ice.connection.iceControlling = true;
  await ice.gather();
  ice.setRemoteParams(new RTCIceParameters({ ...server.iceParameters, iceLite: true }));
  for (const { foundation, ip, port, priority } of server.iceCandidates) {
    await ice.addRemoteCandidate(
      new IceCandidate(1, foundation, ip, port, priority, 'udp', 'host'),
    );
  }
  await ice.addRemoteCandidate(undefined);
  await ice.start();
  return ice;
}

function fingerprintsOf(server: types.WebRtcTransport): RTCDtlsFingerprint[] {
  return server.dtlsParameters.fingerprints.map(
    ({ algorithm, value }) => new RTCDtlsFingerprint(algorithm, value),
  );
}

async function handshake(server: types.WebRtcTransport): Promise<void> {
  const certificate = await RTCDtlsTransport.SetupCertificate();
  const ice = await connectIce(server);
  const dtls = new RTCDtlsTransport({}, ice, certificate, [ProtectionProfileAeadAes128Gcm]);
  dtls.role = 'client';
  dtls.setRemoteParams(new RTCDtlsParameters(fingerprintsOf(server), 'server'));
  const fingerprints = certificate.getFingerprints() as types.DtlsFingerprint[];
  await server.connect({ dtlsParameters: { role: 'client', fingerprints } });
  const settled = new Promise<types.DtlsState>((resolve) => {
    server.on('dtlsstatechange', (state) => {
      if (state !== 'connecting') resolve(state);
    });
  });
  await dtls.start();
  const state = await settled;
  if (state !== 'connected') throw new Error(`DTLS ended ${state}`);
  await ice.stop();
}

async function check(): Promise<void> {
  const worker = await createWorker({ logLevel: 'error' });
  const died = new Promise<never>((_, reject) => {
    worker.once('died', () => reject(new Error('the worker died at the DTLS handshake')));
    setTimeout(() => reject(new Error('no DTLS handshake in time')), HANDSHAKE_TIMEOUT).unref();
  });
  const router = await worker.createRouter();
  const server = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'udp', ip: LOOPBACK }],
  });
  await Promise.race([handshake(server), died]);
  worker.close();
}

try {
  await check();
  process.exit(0);
} catch (error) {
  console.error(`${process.env['MEDIASOUP_WORKER_BIN'] ?? 'the worker'}: ${String(error)}`);
  process.exit(1);
}
