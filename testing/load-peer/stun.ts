import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** The STUN messages that an ICE client needs (RFC 8489, RFC 8445): a binding request and its answer. */
const magicCookie = 0x2112a442;
const headerLength = 20;
const bindingRequest = 0x0001;
const bindingSuccess = 0x0101;
const bindingError = 0x0111;
const fingerprintXor = 0x5354554e;
const attribute = {
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  priority: 0x0024,
  useCandidate: 0x0025,
  fingerprint: 0x8028,
  iceControlling: 0x802a,
};
/** Bytes of the attribute with its header. */
const integrityLength = 24;
const fingerprintLength = 8;
/** Of a peer-reflexive UDP candidate (RFC 8445, 5.1.2): a check carries the priority of what it may discover. */
const peerReflexivePriority = (110 << 24) | (65535 << 8) | 255;

export interface IceCredentials {
  usernameFragment: string;
  password: string;
}

/** A binding request of the controlling side that nominates its pair at once. */
export interface BindingRequest {
  transactionId: Buffer;
  bytes: Buffer;
}

const encodeAttribute = (type: number, value: Buffer): Buffer => {
  const bytes = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(value.length, 2);
  value.copy(bytes, 4);
  return bytes;
};

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** The message so far, with the length it will have once an attribute of `extra` bytes is added. */
const encodeMessage = (transactionId: Buffer, attributes: Buffer[], extra: number): Buffer => {
  const body = Buffer.concat(attributes);
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(bindingRequest, 0);
  header.writeUInt16BE(body.length + extra, 2);
  header.writeUInt32BE(magicCookie, 4);
  transactionId.copy(header, 8);
  return Buffer.concat([header, body]);
};

export function createBindingRequest(
  local: IceCredentials,
  remote: IceCredentials,
  tieBreaker: Buffer,
): BindingRequest {
  const transactionId = randomBytes(12);
  const username = `${remote.usernameFragment}:${local.usernameFragment}`;
  const attributes = [
    encodeAttribute(attribute.username, Buffer.from(username)),
    encodeAttribute(attribute.iceControlling, tieBreaker),
    encodeAttribute(attribute.priority, uint32(peerReflexivePriority)),
    encodeAttribute(attribute.useCandidate, Buffer.alloc(0)),
  ];
  const signed = encodeMessage(transactionId, attributes, integrityLength);
  const integrity = createHmac('sha1', remote.password).update(signed).digest();
  attributes.push(encodeAttribute(attribute.messageIntegrity, integrity));
  const checksum = crc32(encodeMessage(transactionId, attributes, fingerprintLength));
  attributes.push(encodeAttribute(attribute.fingerprint, uint32(checksum ^ fingerprintXor)));
  return { transactionId, bytes: encodeMessage(transactionId, attributes, 0) };
}

/** STUN, told from DTLS and SRTP on the same port by its first byte (RFC 7983). */
export const isStun = (packet: Buffer): boolean =>
  packet.length >= headerLength && (packet[0] ?? 255) < 4;

const readAttributes = (packet: Buffer): Map<number, { offset: number; value: Buffer }> => {
  const attributes = new Map<number, { offset: number; value: Buffer }>();
  for (let offset = headerLength; offset + 4 <= packet.length;) {
    const length = packet.readUInt16BE(offset + 2);
    const value = packet.subarray(offset + 4, offset + 4 + length);
    const type = packet.readUInt16BE(offset);
    if (!attributes.has(type)) attributes.set(type, { offset, value });
    offset += 4 + Math.ceil(length / 4) * 4;
  }
  return attributes;
};

const integrityHolds = (packet: Buffer, password: string): boolean => {
  const found = readAttributes(packet).get(attribute.messageIntegrity);
  if (found?.value.length !== 20) return false;
  const signed = Buffer.from(packet.subarray(0, found.offset));
  signed.writeUInt16BE(found.offset - headerLength + integrityLength, 2);
  return timingSafeEqual(createHmac('sha1', password).update(signed).digest(), found.value);
};

/**
 * What a STUN packet says to a binding request: `success` only where it belongs to the request and is signed with the
 * remote password; `undefined` where it is no answer to it.
 */
export function readBindingAnswer(
  packet: Buffer,
  transactionId: Buffer,
  remote: IceCredentials,
): 'success' | { error: number } | undefined {
  if (!packet.subarray(8, headerLength).equals(transactionId)) return undefined;
  const type = packet.readUInt16BE(0);
  if (type === bindingSuccess) {
    return integrityHolds(packet, remote.password) ? 'success' : undefined;
  }
  if (type !== bindingError) return undefined;
  const code = readAttributes(packet).get(attribute.errorCode)?.value;
  return { error: (code?.[2] ?? 0) * 100 + (code?.[3] ?? 0) };
}
