import type { DeviceInfo } from '../signaling/messages.ts';

/** The browsers told apart, the more special name first: Edge and Opera also claim to be Chrome, Chrome to be Safari. */
const browsers: [flag: string, name: string, pattern: RegExp][] = [
  ['edge', 'Edge', /Edg(?:e|A|iOS)?\/([\d.]+)/],
  ['opera', 'Opera', /OPR\/([\d.]+)/],
  ['firefox', 'Firefox', /(?:Firefox|FxiOS)\/([\d.]+)/],
  ['chrome', 'Chrome', /(?:HeadlessChrome|Chrome|CriOS)\/([\d.]+)/],
  ['safari', 'Safari', /Version\/([\d.]+).*Safari/],
];

/** Which browser this is, by its user-agent string, for the others in the room to see. */
export function describeDevice(userAgent: string): DeviceInfo {
  for (const [flag, name, pattern] of browsers) {
    const version = pattern.exec(userAgent)?.[1];
    if (version !== undefined) return { flag, name, version };
  }
  return { flag: 'unknown', name: 'Unknown browser' };
}
