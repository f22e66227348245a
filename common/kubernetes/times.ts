/** Kubernetes' MicroTime, from milliseconds since the epoch. */
export const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');
