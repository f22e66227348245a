import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Registry } from 'prom-client';

import { ApiError } from '../../common/errors.ts';
import { createLogger } from '../../common/service/logger.ts';
import { smallAuditWorld } from '../../testing/audit-world.ts';
import { FakeClock } from '../../testing/fake-clock.ts';
import { secret } from '../../testing/quick-config.ts';
import { operatorConfig } from '../config.ts';
import { examine } from './examine.ts';
import { createAuditMetrics } from './metrics.ts';
import { PeriodicAudit } from './periodic.ts';

const config = operatorConfig.parse({
  serviceAuth: { secret },
  kubernetes: {},
  audit: { intervalMs: 60_000, graceMs: 30_000 },
});

describe('the audit of an operator that acts', () => {
  let small: ReturnType<typeof smallAuditWorld>;
  let registry: Registry;
  let clock: FakeClock;
  let audit: PeriodicAudit;
  let away: string | undefined;
  let tablesAway: boolean;
  const deleteRoomRows = jest.fn((roomIds: string[]) => Promise.resolve(roomIds.length));

  beforeEach(() => {
    small = smallAuditWorld();
    registry = new Registry();
    clock = new FakeClock();
    away = undefined;
    tablesAway = false;
    deleteRoomRows.mockClear();
    const { world, nodes } = small;
    audit = new PeriodicAudit({
      examine: () =>
        examine(
          {
            resources: () => Promise.resolve(world.snapshot.resources),
            tables: () =>
              tablesAway
                ? Promise.reject(new ApiError('store_unavailable', 'Postgres is not available'))
                : Promise.resolve(world.snapshot.tables),
            objects: (url) => {
              const node = nodes.find(({ podName }) => url === `http://${podName}`);
              if (!node || node.podName === away)
                return Promise.reject(new ApiError('node_unavailable', 'refused'));
              return Promise.resolve(node);
            },
            concurrency: 2,
          },
          config,
        ),
      deleteRoomRows,
      config,
      metrics: createAuditMetrics(registry),
      clock,
      logger: createLogger('test', 'silent'),
    });
  });

  async function valueOf(name: string, labels: Record<string, string> = {}): Promise<number> {
    const metric = (await registry.getSingleMetric(`kube_sfu_operator_audit_${name}`)!.get()) as {
      values: { value: number; labels: Record<string, string> }[];
    };
    const found = metric.values.find(({ labels: own }) =>
      Object.entries(labels).every(([key, value]) => own[key] === value),
    );
    return found?.value ?? Number.NaN;
  }
  const differences = (kind: string) => valueOf('differences', { kind });

  it('shows what lasts, until it is over', async () => {
    await audit.run();
    expect(await differences('RowWithoutObject')).toBe(0);
    const [lost] = small.consumerNode.consumers.splice(0, 1);
    await audit.run();
    expect(await differences('RowWithoutObject')).toBe(0);
    await clock.advance(60_000);
    await audit.run();
    expect(await differences('RowWithoutObject')).toBe(1);
    small.consumerNode.consumers.push(lost!);
    await audit.run();
    expect(await differences('RowWithoutObject')).toBe(0);
  });

  it('tells when it last looked at everything', async () => {
    expect(await valueOf('last_success_timestamp_seconds')).toBe(0);
    await audit.run();
    const first = clock.now() / 1000;
    expect(await valueOf('last_success_timestamp_seconds')).toBe(first);
    await clock.advance(60_000);
    away = 'consumers-0';
    await audit.run();
    tablesAway = true;
    await audit.run();
    expect(await valueOf('last_success_timestamp_seconds')).toBe(first);
  });

  it('keeps what it knows while a store is away', async () => {
    small.consumerNode.consumers.splice(0, 1);
    await audit.run();
    tablesAway = true;
    await clock.advance(60_000);
    await audit.run();
    tablesAway = false;
    await audit.run();
    expect(await differences('RowWithoutObject')).toBe(1);
  });

  it('removes rows of rooms that are gone, once they have been so for long enough', async () => {
    small.tables.rooms.push({ id: 'old' });
    await audit.run();
    expect(deleteRoomRows).not.toHaveBeenCalled();
    await clock.advance(60_000);
    await audit.run();
    expect(deleteRoomRows.mock.calls).toEqual([[['old']]]);
  });

  it('looks again and again until it is closed, whatever fails', async () => {
    audit.start();
    await clock.advance(0);
    const first = await valueOf('last_success_timestamp_seconds');
    tablesAway = true;
    await clock.advance(60_000);
    expect(await valueOf('last_success_timestamp_seconds')).toBe(first);
    tablesAway = false;
    await clock.advance(60_000);
    expect(await valueOf('last_success_timestamp_seconds')).toBe(first + 120);
    await audit.close();
    expect(clock.pending).toBe(0);
  });
});
