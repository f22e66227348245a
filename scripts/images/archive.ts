/**
 * Packs an OCI image layout into an archive. It tells containerd the image's name, which `ctr --namespace k8s.io images import`
 * then gives it.
 *
 * Usage: node scripts/images/archive.ts LAYOUT_FOLDER IMAGE_NAME ARCHIVE
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { z } from 'zod';

const index = z.looseObject({ manifests: z.tuple([z.looseObject({})]) });

/** The same layout makes the same archive. */
function pack(layout: string, archive: string): void {
  const flags = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  const files = ['oci-layout', 'index.json', 'blobs'];
  execFileSync('tar', [...flags, '-C', layout, '-cf', `${archive}.tmp`, ...files]);
  renameSync(`${archive}.tmp`, archive);
}

const [layout, name, archive] = process.argv.slice(2);
if (layout === undefined || name === undefined || archive === undefined)
  throw new Error('expected a layout, a name and an archive');
const file = path.join(layout, 'index.json');
const { manifests, ...rest } = index.parse(JSON.parse(readFileSync(file, 'utf8')));
const annotations = {
  'io.containerd.image.name': name,
  'org.opencontainers.image.ref.name': name,
};
writeFileSync(file, JSON.stringify({ ...rest, manifests: [{ ...manifests[0], annotations }] }));
pack(layout, archive);
