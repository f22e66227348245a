import { z } from 'zod';

/** What an image holds besides the files that its entry point reaches by itself. */
export interface ImageContents {
  /** The module that the image starts. */
  entry: string;
  /** Folders and files of the tree that the service is only told of by its configuration. */
  data: readonly string[];
  /** Programs that are not in the tree. */
  native?: 'mediasoup-worker' | 'postgres';
}

/** The images, by the last part of their names. */
export const images = {
  operator: { entry: 'operator/main.ts', data: ['migrations'] },
  signaling: { entry: 'signaling/main.ts', data: ['web/dist'] },
  'media-node': {
    entry: 'media-node/main.ts',
    data: ['config/media-node.yaml'],
    native: 'mediasoup-worker',
  },
  'trial-postgres': {
    entry: 'trial-postgres/main.ts',
    data: ['trial-postgres/pg_hba.conf'],
    native: 'postgres',
  },
} as const satisfies Readonly<Record<string, ImageContents>>;

/** The name of an image, as it comes from the command line. */
export const imageName = z.enum(Object.keys(images) as [keyof typeof images]);
export type ImageName = z.output<typeof imageName>;

// For the scripts around this.
if (import.meta.main) console.log(Object.keys(images).join('\n'));
