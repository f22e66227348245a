import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';

import { runMain } from '../common/service/lifecycle.ts';
import { parseOrThrow } from '../common/validate.ts';
import { measureJoins } from './join.ts';
import { describeMachine } from './machine.ts';
import { measureOperator } from './operator.ts';
import { measurePackets } from './packets.ts';
import { renderReport, type Report } from './report.ts';

const usage = `node bench/main.ts [options]
  --only join|packets|operator  one part alone
  --rooms 1000,10000    numbers of rooms of the operator part
  --nodes 200           media nodes of the operator part
  --peers 2,10,50,100   room sizes of the join part
  --rounds 100          joins for each room size
  --seconds 60          longest time of the joins of one size
  --rate 0.1            RTP packets a second of each producer in the join part
  --verbose             print the statements of a join
  --out FILE            where the report goes; default bench/results/latest.md`;

const numbers = (fallback: string, item: z.ZodNumber | z.ZodInt) =>
  z
    .string()
    .default(fallback)
    .transform((text) => text.split(',').map(Number))
    .pipe(z.array(item).min(1));

const options = z.strictObject({
  only: z.enum(['join', 'packets', 'operator']).optional(),
  peers: numbers('2,10,50,100', z.int().min(2).max(500)),
  rooms: numbers('1000,10000', z.int().min(1).max(50_000)),
  nodes: z.coerce.number().int().min(2).max(1_000).multipleOf(2).default(200),
  rounds: z.coerce.number().int().min(1).max(10_000).default(100),
  seconds: z.coerce.number().int().min(1).max(3_600).default(60),
  rate: z.coerce.number().positive().max(100).default(0.1),
  verbose: z.boolean().default(false),
  out: z.string().default(path.join(import.meta.dirname, 'results', 'latest.md')),
});

const packetRounds = 5;
const packetReceivers = [1, 10, 25];

const startedAt = Date.now();
const say = (line: string): void => {
  console.error(`[${((Date.now() - startedAt) / 1000).toFixed(0)} s] ${line}`);
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      peers: { type: 'string' },
      rooms: { type: 'string' },
      nodes: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      rate: { type: 'string' },
      verbose: { type: 'boolean' },
      out: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  const { help, ...given } = values;
  if (help) {
    console.log(usage);
    return;
  }
  const { only, peers, rooms, nodes, rounds, seconds, rate, verbose, out } = parseOrThrow(
    options,
    given,
    'options',
  );
  const wants = (part: string): boolean => only === undefined || only === part;
  const report: Report = { measuredAt: new Date().toISOString(), machine: describeMachine() };
  if (wants('packets'))
    report.packets = await measurePackets({
      rounds: packetRounds,
      receivers: packetReceivers,
      say,
    });
  if (wants('join'))
    report.room = await measureJoins({
      sizes: peers,
      rounds,
      secondsPerSize: seconds,
      packetsPerSecond: rate,
      verbose,
      say,
    });
  if (wants('operator')) report.operator = await measureOperator({ sizes: rooms, nodes, say });
  const text = renderReport(report);
  await mkdir(path.dirname(out), { recursive: true });
  await writeFile(out, text);
  console.log(text);
  say(`written to ${path.relative(process.cwd(), out)}`);
}

runMain(main);
