import { z } from 'zod';

import { anyName } from '../auth/room-token.ts';

/** A room's id as clients choose it. */
export const roomId = z
  .string()
  .min(1)
  .max(253)
  .refine((value) => value !== anyName, `"${anyName}" is not a room`);
