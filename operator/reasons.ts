import type { Condition } from '../common/resources/types.ts';
import type { EventNote } from './cluster.ts';

/** The reasons of a kind's conditions by type, each with the status that it stands for. */
export type ConditionTable = Record<string, Record<string, Condition['status']>>;

/** The reasons of a kind's Events, each with the types of Event that have it. */
export type EventTable = Record<string, readonly EventNote['type'][]>;

/** An Event with a reason of the table. */
export type EventOf<T extends EventTable> = {
  [R in keyof T & string]: EventNote & { reason: R; type: T[R][number] };
}[keyof T & string];

declare const given: unique symbol;

/** A reason that is handed on as it was found: a word of Kubernetes for the state of a pod, or a condition's own. */
export type GivenReason = string & { readonly [given]: never };
