import type { ObjectMeta } from '../../common/resources/types.ts';
import type { Container, KubernetesNode, Pod } from '../cluster.ts';

/** What `kubectl apply` keeps for itself: the whole object once more, as text. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

type Meta = Partial<ObjectMeta> & { managedFields?: unknown };

/** Leaves out the parts of the metadata that are larger than the rest of most objects and that nobody here reads. */
function trimMeta<M extends Meta>(metadata: M): M {
  const trimmed = { ...metadata };
  delete trimmed.managedFields;
  if (!trimmed.annotations?.[lastApplied]) return trimmed;
  const kept = Object.entries(trimmed.annotations).filter(([name]) => name !== lastApplied);
  return { ...trimmed, annotations: Object.fromEntries(kept) };
}

/** An object of ours as it is kept. */
export const trimObject = <T extends { metadata: Meta }>(object: T): T => ({
  ...object,
  metadata: trimMeta(object.metadata),
});

/** A container as the API gives it: without its empty lists. */
type RawContainer = Omit<Container, 'env' | 'ports'> & Partial<Pick<Container, 'env' | 'ports'>>;

const trimContainer = (container: RawContainer): Container =>
  ({ ...container, env: container.env ?? [], ports: container.ports ?? [] }) as Container;

/** A pod as it is kept. */
export const trimPod = ({ metadata, spec, status }: Pod): Pod => {
  const [first, ...others] = spec.containers as [RawContainer, ...RawContainer[]];
  return {
    metadata: trimMeta(metadata),
    spec: { ...spec, containers: [trimContainer(first), ...others.map(trimContainer)] },
    status,
  };
};

/** The few facts of a Kubernetes node that the operator reads; the images that it lists alone may have 50 kB. */
export const trimNode = ({ metadata, spec, status }: KubernetesNode): KubernetesNode => {
  const { name, uid, resourceVersion, labels } = metadata;
  const { addresses, conditions } = status;
  return {
    metadata: { name, uid, resourceVersion, ...(labels ? { labels } : {}) },
    spec: spec.unschedulable ? { unschedulable: true } : {},
    status: {
      ...(addresses ? { addresses } : {}),
      ...(conditions
        ? { conditions: conditions.map(({ type, status: value }) => ({ type, status: value })) }
        : {}),
    },
  };
};
