import { z } from 'zod';

/** `monitoring` of the chart's values. */
export const monitoring = z.strictObject({}).prefault({}).describe('what watches the services');
