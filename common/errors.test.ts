import { describe, expect, it } from '@jest/globals';

import {
  ApiError,
  assertUnreachable,
  errorCatalogue,
  isApiError,
  isErrorCode,
  messageOf,
  type ErrorCode,
} from './errors.ts';

const codes = Object.keys(errorCatalogue) as ErrorCode[];

describe('the error catalogue', () => {
  it.each(codes)('gives %s an HTTP status of an error', (code) => {
    expect(errorCatalogue[code].status).toBeGreaterThanOrEqual(400);
    expect(errorCatalogue[code].status).toBeLessThan(600);
  });

  it('never advises to repeat what is wrong with the request or its token', () => {
    const hopeless = codes.filter((code) => [400, 401, 403, 404, 413].includes(statusOf(code)));
    expect(hopeless.filter((code) => errorCatalogue[code].retryable)).toEqual([]);
  });

  it('always advises to repeat what came too early', () => {
    const later = codes.filter((code) => [429, 503, 504].includes(statusOf(code)));
    expect(later.filter((code) => !errorCatalogue[code].retryable)).toEqual([]);
  });
});

const statusOf = (code: ErrorCode): number => errorCatalogue[code].status;

describe('isErrorCode', () => {
  it('knows the codes of the catalogue', () => {
    expect(codes.every(isErrorCode)).toBe(true);
  });

  it.each(['ECONNREFUSED', '', 'toString', '__proto__', 404, undefined, null])(
    'does not take %p for one',
    (value) => {
      expect(isErrorCode(value)).toBe(false);
    },
  );
});

describe('ApiError', () => {
  it('has the status and the advice that belong to its code', () => {
    const error = new ApiError('room_full', 'no seat left');
    expect(error).toMatchObject({ name: 'ApiError', status: 429, retryable: true });
    expect(new ApiError('room_not_found', 'x')).toMatchObject({ status: 404, retryable: false });
  });

  it('shows its code, message and fields in the body, and nothing of its cause', () => {
    const fields = [{ field: 'codecs[0]', message: 'unknown' }];
    const error = new ApiError('invalid_request', 'wrong', { fields, cause: new Error('inner') });
    expect(error.cause).toEqual(new Error('inner'));
    expect(error.toBody()).toEqual({
      error: { code: 'invalid_request', message: 'wrong', fields },
    });
  });

  it('leaves the fields out of the body where there are none', () => {
    expect(Object.keys(new ApiError('conflict', 'x').toBody().error)).toEqual(['code', 'message']);
  });
});

describe('isApiError', () => {
  const error = new ApiError('conflict', 'x');

  it('takes every ApiError when no code is asked for', () => {
    expect(isApiError(error)).toBe(true);
    expect(isApiError(new Error('conflict'))).toBe(false);
    expect(isApiError({ code: 'conflict' })).toBe(false);
  });

  it('takes those with one of the codes alone when codes are asked for', () => {
    expect(isApiError(error, 'not_found', 'conflict')).toBe(true);
    expect(isApiError(error, 'not_found')).toBe(false);
  });
});

describe('messageOf', () => {
  it('reads an error, and whatever else was thrown', () => {
    expect(messageOf(new Error('why'))).toBe('why');
    expect(messageOf('text')).toBe('text');
    expect(messageOf(undefined)).toBe('undefined');
  });
});

describe('assertUnreachable', () => {
  it('names the value that nobody handles', () => {
    expect(() => assertUnreachable({ type: 'new' } as never)).toThrow('{"type":"new"}');
  });
});
