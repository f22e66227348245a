import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';

import * as prettier from 'prettier';

import { renderOpenApi as renderMediaNodeApi } from '../../media-node/openapi.ts';
import { renderOpenApi as renderSignalingApi } from '../../signaling/http/openapi.ts';
import { renderChart, renderChartRbac, renderCrd } from './chart/files.ts';
import { renderChartValues, renderValues, renderValuesSchema } from './chart/render-values.ts';
import { renderConfiguration } from './configuration.ts';
import { renderResourceTypes } from './crd-types.ts';
import { renderMetrics } from './metrics.ts';
import { renderPermissions, renderRbac } from './rbac.ts';
import { renderResources } from './resources.ts';

/** One file that is made from others. */
interface Generator {
  /** Where the file goes, from the project's root. */
  path: string;
  render: () => string | Promise<string>;
}

const generators: Generator[] = [
  {
    path: 'common/resources/generated/mediaworker.ts',
    render: () => renderResourceTypes('mediaworkers'),
  },
  {
    path: 'common/resources/generated/mediaroom.ts',
    render: () => renderResourceTypes('mediarooms'),
  },
  { path: 'docs/resources.md', render: renderResources },
  { path: 'docs/configuration.md', render: renderConfiguration },
  { path: 'docs/permissions.md', render: renderPermissions },
  { path: 'config/rbac/operator.yaml', render: () => renderRbac('operator', 'all') },
  { path: 'config/rbac/operator-namespaced.yaml', render: () => renderRbac('operator', 'one') },
  { path: 'config/rbac/signaling.yaml', render: () => renderRbac('signaling', 'one') },
  { path: 'charts/kube-sfu/Chart.yaml', render: renderChart },
  { path: 'charts/kube-sfu/values.yaml', render: renderValues },
  { path: 'charts/kube-sfu/values.schema.json', render: renderValuesSchema },
  {
    path: 'charts/kube-sfu/files/crds/mediaworkers.yaml',
    render: () => renderCrd('mediaworkers'),
  },
  { path: 'charts/kube-sfu/files/crds/mediarooms.yaml', render: () => renderCrd('mediarooms') },
  { path: 'charts/kube-sfu/files/rbac.yaml', render: renderChartRbac },
  { path: 'docs/chart-values.md', render: renderChartValues },
  { path: 'docs/metrics.md', render: renderMetrics },
  { path: 'docs/openapi/media-node.json', render: renderMediaNodeApi },
  { path: 'docs/openapi/signaling.json', render: renderSignalingApi },
];

const root = path.resolve(import.meta.dirname, '../..');

async function renderFormatted(generator: Generator): Promise<string> {
  const file = path.join(root, generator.path);
  const options = await prettier.resolveConfig(file);
  return prettier.format(await generator.render(), { ...options, filepath: file });
}

/** Writes what changed; with `check` writes nothing. Resolves with the paths that differed. */
async function generate(check: boolean): Promise<string[]> {
  const changed: string[] = [];
  for (const generator of generators) {
    const file = path.join(root, generator.path);
    const text = await renderFormatted(generator);
    const old = await readFile(file, 'utf8').catch(() => undefined);
    if (old === text) continue;
    changed.push(generator.path);
    if (check) continue;
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  return changed;
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const changed = await generate(values.check);
for (const file of changed) console.log(values.check ? `out of date: ${file}` : `wrote ${file}`);
if (values.check && changed.length > 0) {
  console.error('Run "npm run generate" and commit the result.');
  process.exitCode = 1;
}
