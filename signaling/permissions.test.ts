import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { auditPolicyFor, declaredUse, readApiUse } from '../testing/kubernetes/audit.ts';
import { startControlPlane, type ControlPlane } from '../testing/kubernetes/control-plane.ts';
import { grantRoles, serviceUser } from '../testing/kubernetes/service-roles.ts';
import { until } from '../testing/until.ts';
import { http } from './fixtures/http.ts';
import { Platform } from './fixtures/platform.ts';
import { RoomsNamespace } from './fixtures/rooms.ts';

const user = serviceUser('signaling');

describe('the permissions of the signaling service', () => {
  let plane: ControlPlane;
  let platform: Platform;
  let namespace: RoomsNamespace;

  beforeAll(async () => {
    plane = await startControlPlane({ users: { [user]: [] }, auditPolicy: auditPolicyFor(user) });
    platform = await Platform.create();
    namespace = new RoomsNamespace(plane, 'rooms');
    await namespace.create();
    await grantRoles(plane, 'signaling', namespace.name);
    await namespace.putPool(true);
  }, 90_000);
  afterAll(async () => {
    await platform.close();
    await plane.stop();
  });

  it('are all that a replica needs, and it needs all of them', async () => {
    const replica = await platform.replica({
      kubernetes: { kubeconfig: plane.kubeconfig(user), namespace: namespace.name },
      rooms: { readyTimeoutMs: 500 },
    });
    const token = await platform.token({ room: '*', peer: '*', grants: { admin: true } });
    const ask = (call: string, body?: unknown) =>
      http(`http://127.0.0.1:${replica.publicPort}`, call, { token, body });
    const statusOf = async (call: string) => (await ask(call)).status;

    expect((await ask('POST /api/rooms', { roomId: 'asked-for' })).status).toBe(201);
    await until('the room', async () => (await statusOf('GET /api/rooms/asked-for')) === 200);
    // Nobody places it, but it is made.
    await expect(platform.connect(replica, { roomId: 'joined', peerId: 'ann' })).rejects.toThrow();
    await until('the joined room', async () =>
      (await namespace.rooms()).some(({ metadata }) => metadata.name === 'joined'),
    );
    expect(await statusOf('DELETE /api/rooms/asked-for')).toBe(200);
    await until('its end', async () => (await statusOf('GET /api/rooms/asked-for')) === 404);

    const { used, refused } = await readApiUse(plane, user);
    expect(refused).toEqual([]);
    expect(used).toEqual(declaredUse('signaling'));
  }, 60_000);
});
