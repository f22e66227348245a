import { describe, expect, it } from '@jest/globals';

import { consoleUrl, parsePageConfig, portForAttempt, signalingUrl } from './page-config.ts';

describe('parsePageConfig', () => {
  it.each([
    ['all replicas', { signalingPort: 1000, signalingPorts: [1000, 1001] }, [1000, 1001]],
    ['the first replica alone', { signalingPort: 1000 }, [1000]],
    ['no configuration', undefined, []],
    ['one that leaves signaling at the page’s origin', {}, []],
    ['ports that are none', { signalingPorts: ['x', 0, 70000] }, []],
  ])('reads %s', (_title, value, want) => {
    expect(parsePageConfig(value).signalingPorts).toEqual(want);
  });
});

const place = (protocol: string) => ({ protocol, host: 'host:8080', hostname: 'host' });

describe('signalingUrl', () => {
  it('is on the host name of the page, and as secure', () => {
    expect(signalingUrl(place('http:'), 4443)).toBe('ws://host:4443/');
    expect(signalingUrl(place('https:'), 1)).toBe('wss://host:1/');
  });

  it('is at the page’s origin where no port is given', () => {
    expect(signalingUrl(place('https:'), undefined)).toBe('wss://host:8080/');
  });
});

describe('portForAttempt', () => {
  it('starts and retries on the chosen replica, then takes the next ones', () => {
    const attempts = [0, 1, 2, 3, 4];
    expect(attempts.map((attempt) => portForAttempt([1, 2, 3], 1, attempt))).toEqual([
      2, 2, 3, 1, 2,
    ]);
  });

  it('takes a replica that does not exist for another one', () => {
    expect(portForAttempt([1, 2], 5, 0)).toBe(2);
    expect(portForAttempt([], 1, 3)).toBeUndefined();
  });
});

describe('consoleUrl', () => {
  it('is on the signaling port', () => {
    expect(consoleUrl(place('https:'), 4443)).toBe('https://host:4443/api/console');
    expect(consoleUrl(place('http:'), undefined)).toBe('http://host:8080/api/console');
  });
});
