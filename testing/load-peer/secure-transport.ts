import { X509Certificate, createSecretKey, type KeyObject } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import {
  DtlsClient,
  RTCDtlsTransport,
  SrtcpSession,
  SrtpSession,
  isDtls,
  isRtcp,
  keyLength,
  saltLength,
  type RTCCertificate,
  type RtpHeader,
} from 'werift';

import { IceConnection, type IceCandidate } from './ice-connection.ts';
import type { IceCredentials } from './stun.ts';

/** What the server says of its side of a transport, as `createWebRtcTransport` answers it. */
export interface ServerTransport {
  iceParameters: IceCredentials;
  iceCandidates: { protocol: string; address?: string; ip?: string; port: number }[];
  dtlsParameters: { fingerprints: { algorithm: string; value: string }[] };
}

export interface SecureTransportOptions {
  server: ServerTransport;
  /** RTP packets of which one is decrypted and checked; 1, the default, is all. The rest are counted by their header. */
  decryptEvery?: number;
  receiveBufferBytes?: number;
}

/** A received RTP packet. */
export interface ReceivedRtp {
  ssrc: number;
  /** `performance.now()` when it was read, before decryption. */
  receivedAt: number;
  /** The decrypted packet; undefined for one that was not decrypted. */
  packet: Buffer | undefined;
}

/** The RTCP packet type of key frame requests; SRTCP leaves it readable. */
const payloadFeedback = 206;
const handshakeTimeoutMs = 10_000;
/** For how long the timer of a handshake's last flight may keep the process alive; a test file ends after that. */
export const flightTimerMs = 500;
/** AEAD_AES_128_GCM, then AES_CM_128_HMAC_SHA1_80: by their number in the use_srtp extension (RFC 7714, RFC 5764). */
const aeadAes128Gcm = 7;
const srtpProfiles: (1 | 7)[] = [aeadAes128Gcm, 1];

/** One certificate for all the load peers of a process: a key pair for each would cost more than it shows. */
const certificate = (): Promise<RTCCertificate> => RTCDtlsTransport.SetupCertificate();

/** What the client sends in `connectWebRtcTransport`. mediasoup is then the DTLS server. */
export async function localDtlsParameters(): Promise<{
  role: 'client';
  fingerprints: { algorithm: 'sha-256'; value: string }[];
}> {
  const [print] = (await certificate()).getFingerprints();
  if (!print) throw new Error('the certificate has no fingerprint');
  return { role: 'client', fingerprints: [{ algorithm: 'sha-256', value: print.value }] };
}

const udpCandidate = ({ iceCandidates }: ServerTransport): IceCandidate => {
  const found = iceCandidates.find(({ protocol }) => protocol === 'udp');
  const address = found?.address ?? found?.ip;
  if (!found || !address) throw new Error('the server offers no UDP candidate');
  return { address, port: found.port };
};

/**
 * werift gives Node's ciphers the key's bytes with every packet, which Node then makes a key of: three quarters of a
 * packet's cost. A key that is one already is taken as it is.
 */
function prepareKeys({ localContext, remoteContext }: SrtpSession): void {
  for (const { cipher } of [localContext, remoteContext])
    cipher.srtpSessionKey = createSecretKey(cipher.srtpSessionKey) as KeyObject & Buffer;
}

const unused: AddressInfo = { address: '', family: '', port: 0 };

/** ICE, DTLS and SRTP of one transport, as a browser would do them. */
export class SecureTransport {
  readonly #ice: IceConnection;
  readonly #dtls: DtlsClient;
  readonly #decryptEvery: number;
  #srtp: SrtpSession | undefined;
  #srtcp: SrtcpSession | undefined;
  #onDtls: (packet: Buffer) => void = () => undefined;
  #received = 0;
  #failed = 0;

  onRtp: (packet: ReceivedRtp) => void = () => undefined;
  /** Called with decrypted RTCP packets that begin with feedback; the many reports are not decrypted. */
  onFeedback: ((packet: Buffer) => void) | undefined;

  private constructor(ice: IceConnection, cert: RTCCertificate, options: SecureTransportOptions) {
    this.#ice = ice;
    this.#decryptEvery = options.decryptEvery ?? 1;
    const socket = {
      type: 'ice',
      address: unused,
      closed: false,
      onData: (_packet: Buffer): void => undefined,
      send(packet: Buffer): Promise<void> {
        ice.send(packet);
        return Promise.resolve();
      },
      close(): Promise<void> {
        ice.close();
        return Promise.resolve();
      },
    };
    this.#dtls = new DtlsClient({
      transport: socket,
      cert: cert.certPem,
      key: cert.privateKey,
      signatureHash: cert.signatureHash,
      extendedMasterSecret: true,
      srtpProfiles,
    });
    this.#onDtls = (packet) => socket.onData(packet);
    ice.onPacket = (packet) => this.#onPacket(packet);
  }

  /** @throws Error when the ICE check or the DTLS handshake fails, or the server's certificate is not the announced one */
  static async connect(options: SecureTransportOptions): Promise<SecureTransport> {
    const { server, receiveBufferBytes } = options;
    const cert = await certificate();
    const ice = await IceConnection.create({
      remote: server.iceParameters,
      candidate: udpCandidate(server),
      ...(receiveBufferBytes === undefined ? {} : { receiveBufferBytes }),
    });
    const transport = new SecureTransport(ice, cert, options);
    try {
      await transport.#handshake();
      transport.#verifyCertificate(server);
      transport.#startSrtp();
    } catch (error) {
      ice.close();
      throw error;
    }
    return transport;
  }

  /** RTP packets that could not be decrypted or authenticated. */
  get failedPackets(): number {
    return this.#failed;
  }

  sendRtp(payload: Buffer, header: RtpHeader): void {
    if (this.#srtp) this.#ice.send(this.#srtp.encrypt(payload, header));
  }

  close(): void {
    this.#ice.close();
  }

  #handshake(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no DTLS connection in ${handshakeTimeoutMs} ms`)),
        handshakeTimeoutMs,
      );
      const fail = (error: unknown): void => {
        clearTimeout(timer);
        reject(error instanceof Error ? error : new Error(String(error)));
      };
      this.#dtls.onConnect.once(() => {
        clearTimeout(timer);
        resolve();
      });
      this.#dtls.onError.once(fail);
      this.#dtls.connect().catch(fail);
    });
  }

  #verifyCertificate({ dtlsParameters }: ServerTransport): void {
    const announced = dtlsParameters.fingerprints.find(({ algorithm }) => algorithm === 'sha-256');
    const given = this.#dtls.remoteCertificate;
    if (!given || new X509Certificate(given).fingerprint256 !== announced?.value.toUpperCase()) {
      throw new Error("the server's certificate is not the one it announced");
    }
  }

  #startSrtp(): void {
    const profile = this.#dtls.srtp.srtpProfile;
    if (!profile) throw new Error('no SRTP profile was agreed');
    const keys = this.#dtls.extractSessionKeys(keyLength(profile), saltLength(profile));
    const config = {
      profile,
      keys: {
        localMasterKey: keys.localKey,
        localMasterSalt: keys.localSalt,
        remoteMasterKey: keys.remoteKey,
        remoteMasterSalt: keys.remoteSalt,
      },
    };
    this.#srtp = new SrtpSession(config);
    this.#srtcp = new SrtcpSession(config);
    if (profile === aeadAes128Gcm) prepareKeys(this.#srtp);
  }

  #onPacket(packet: Buffer): void {
    if (isDtls(packet)) this.#onDtls(packet);
    else if (isRtcp(packet)) this.#receiveRtcp(packet);
    else this.#receiveRtp(packet);
  }

  #receiveRtcp(packet: Buffer): void {
    if (!this.onFeedback || packet[1] !== payloadFeedback) return;
    try {
      const plain = this.#srtcp?.decrypt(packet);
      if (plain) this.onFeedback(plain);
    } catch {
      this.#failed++;
    }
  }

  #receiveRtp(packet: Buffer): void {
    if (!this.#srtp || packet.length < 12) return;
    const receivedAt = performance.now();
    try {
      const chosen = this.#received++ % this.#decryptEvery === 0;
      const plain = chosen ? this.#srtp.decrypt(packet) : undefined;
      this.onRtp({ ssrc: packet.readUInt32BE(8), receivedAt, packet: plain });
    } catch {
      this.#failed++;
    }
  }
}
