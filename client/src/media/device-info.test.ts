import { describe, expect, it } from '@jest/globals';

import { describeDevice } from './device-info.ts';

const webKit = 'AppleWebKit/537.36 (KHTML, like Gecko)';

describe('describeDevice', () => {
  it.each([
    [`Mozilla/5.0 (X11; Linux) ${webKit} Chrome/150.0.0.0 Safari/537.36`, 'chrome', '150.0.0.0'],
    [`Mozilla/5.0 (X11; Linux) ${webKit} HeadlessChrome/150.0 Safari/537.36`, 'chrome', '150.0'],
    [`Mozilla/5.0 (Windows) ${webKit} Chrome/150.0 Safari/537.36 Edg/150.1`, 'edge', '150.1'],
    [`Mozilla/5.0 (Windows) ${webKit} Chrome/150.0 Safari/537.36 OPR/99.0`, 'opera', '99.0'],
    ['Mozilla/5.0 (X11; Linux; rv:140.0) Gecko/20100101 Firefox/140.0', 'firefox', '140.0'],
    [`Mozilla/5.0 (Macintosh) ${webKit} Version/18.1 Safari/605.1.15`, 'safari', '18.1'],
  ])('knows %s', (userAgent, flag, version) => {
    expect(describeDevice(userAgent)).toMatchObject({ flag, version });
  });

  it('has a name for what it does not know', () => {
    expect(describeDevice('curl/8')).toEqual({ flag: 'unknown', name: 'Unknown browser' });
  });
});
