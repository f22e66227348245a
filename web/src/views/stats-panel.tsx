import { useState } from 'preact/hooks';

import type { TransportReport } from '../../../client/src/index.ts';
import { displayNameOf, type Meeting, type MeetingState } from '../meeting.ts';
import { statsTargets } from '../server-stats.ts';
import { takeSnapshot, type RoomSnapshot } from '../snapshot.ts';
import { useFocusOnMount, usePolling } from './hooks.ts';
import { CloseIcon } from './icons.tsx';
import { flatten, receivedRows, sentRows, type Row } from './stats-rows.ts';

const PAUSE_MS = 2000;

interface Reading {
  at: number;
  snapshot: RoomSnapshot;
}

/** The browser's numbers, now and one reading ago: rates come from the difference. */
function useReadings(meeting: Meeting): Reading[] {
  const [readings, setReadings] = useState<Reading[]>([]);
  const read = async () => {
    const snapshot = await takeSnapshot(meeting);
    setReadings((old) => [...old.slice(-1), { at: Date.now(), snapshot }]);
  };
  usePolling(read, PAUSE_MS, meeting);
  return readings;
}

function Table({ caption, columns, rows }: { caption: string; columns: string[]; rows: Row[] }) {
  return (
    <table>
      <caption>{caption}</caption>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ id, cells }) => (
          <tr key={id}>
            {cells.map((cell, index) =>
              index === 0 ? (
                <th key={columns[index]} scope="row">
                  {cell}
                </th>
              ) : (
                <td key={columns[index]}>{cell}</td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface ServerProps {
  meeting: Meeting;
  state: MeetingState;
  transports: readonly TransportReport[];
  focused: string | undefined;
  onFocus: (id: string) => void;
}

interface Answer {
  id: string;
  stats: Record<string, unknown>[];
  problem: string;
}

const noAnswer: Omit<Answer, 'id'> = { stats: [], problem: '' };

/** What the server says of one transport, producer or consumer. */
function ServerStats({ meeting, state, transports, focused, onFocus }: ServerProps) {
  const nameOf = (peerId: string) => displayNameOf(state.peers, peerId);
  const targets = statsTargets(meeting, transports, nameOf);
  const target = targets.find(({ id }) => id === focused) ?? targets[0];
  const [answer, setAnswer] = useState<Answer>();
  const read = async () => {
    if (!target) return;
    try {
      setAnswer({ id: target.id, stats: await target.read(), problem: '' });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      setAnswer({ id: target.id, stats: [], problem });
    }
  };
  usePolling(read, PAUSE_MS, target?.id);
  if (!target) return null;
  // An answer to an earlier choice is not shown under the new one.
  const { stats, problem } = answer?.id === target.id ? answer : noAnswer;
  return (
    <>
      <label class="field">
        <span>On the server</span>
        <select
          data-testid="server-stats-select"
          value={target.id}
          onChange={(event) => onFocus(event.currentTarget.value)}
        >
          {targets.map(({ id, label }) => (
            <option key={id} value={id}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {problem !== '' && <p class="problem">{problem}</p>}
      {stats.map((entry, index) => (
        <dl key={index} data-testid="server-stats">
          {flatten(entry).map(([key, value]) => (
            <div key={key}>
              <dt>{key}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      ))}
    </>
  );
}

interface Props extends Omit<ServerProps, 'transports'> {
  onClose: () => void;
}

/** Numbers: the browser's for all that is sent and received, and the server's for one of them. */
export function StatsPanel({ onClose, ...rest }: Props) {
  const { meeting } = rest;
  const [before, now] = useReadings(meeting);
  const heading = useFocusOnMount<HTMLHeadingElement>();
  const latest = now ?? before;
  const elapsed = before && now ? now.at - before.at : 0;
  return (
    <section
      class="panel stats"
      aria-label="Statistics"
      data-testid="stats-panel"
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      <header>
        <h2 ref={heading} tabIndex={-1}>
          Statistics
        </h2>
        <button
          type="button"
          class="quiet close"
          aria-label="Close the statistics"
          onClick={onClose}
        >
          <CloseIcon />
        </button>
      </header>
      <div class="stats-body" tabIndex={0} role="region" aria-label="Numbers">
        {latest && (
          <>
            <Table
              caption="Sent by this browser"
              columns={['Source', 'Size', 'fps', 'kbit/s', 'Limited by']}
              rows={sentRows(latest.snapshot, before?.snapshot, elapsed)}
            />
            <Table
              caption="Received by this browser"
              columns={['From', 'Size', 'fps', 'kbit/s', 'Lost']}
              rows={receivedRows(latest.snapshot, before?.snapshot, elapsed)}
            />
            <p class="rtt">
              Round trip: {roundTrip(latest.snapshot, 'producer')} sending,{' '}
              {roundTrip(latest.snapshot, 'consumer')} receiving
            </p>
          </>
        )}
        <ServerStats {...rest} transports={latest?.snapshot.transports ?? []} />
      </div>
    </section>
  );
}

function roundTrip({ transports }: RoomSnapshot, side: TransportReport['direction']): string {
  const seconds = transports.find(({ direction }) => direction === side)?.roundTripTime ?? 0;
  return `${Math.round(seconds * 1000)} ms`;
}
