import { z } from 'zod';

const ms = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(`${what}, in milliseconds`);

/** Keys of every service that talks to the Kubernetes API. */
export const kubernetesKeys = {
  kubeconfig: z
    .string()
    .min(1)
    .optional()
    .describe('kubeconfig file; without it the pod’s service account is used'),
  requestTimeoutMs: ms(10_000, 'how long a list or write may take'),
  watchTimeoutMs: ms(25_000, 'after how long the API is asked to end a watch'),
  watchStallMs: ms(5_000, 'how long after that a watch that goes on counts as stalled'),
  listPageSize: z.int().min(1).default(500).describe('objects in one page of a list'),
  relistMs: ms(600_000, 'after how long everything is listed anew even if watches seem well'),
  backoffMinMs: ms(200, 'first pause after a failed list or watch; it doubles, with jitter'),
  backoffMaxMs: ms(10_000, 'longest pause after a failed list or watch'),
};
