import { useEffect, useState } from 'preact/hooks';

import type { ConsoleResponse } from '../../../common/wire/console.ts';
import type { PageConfig } from '../page-config.ts';
import { useElementSize } from '../views/hooks.ts';
import { Logo } from '../views/icons.tsx';
import { collectPipes, layoutPicture, roomHues } from './picture-layout.ts';
import { PictureView } from './picture.tsx';
import { useConsoleData } from './poll.ts';
import { Tables } from './tables.tsx';

export interface ConsoleViewProps {
  config: PageConfig;
  replica: number;
  /** A room token of an administrator of every room; empty where none is needed. */
  token: string;
}

interface Total {
  label: string;
  value: string;
}

function totalsOf({ nodes, pools, rooms, replicas }: ConsoleResponse): Total[] {
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  const ready = sum(pools.map(({ readyReplicas }) => readyReplicas));
  const wanted = sum(pools.map((pool) => pool.replicas));
  return [
    { label: 'Media nodes ready', value: `${ready} of ${wanted}` },
    { label: 'Signaling replicas', value: String(replicas.length) },
    { label: 'Rooms', value: String(rooms.length) },
    { label: 'Peers', value: String(sum(rooms.map(({ peers }) => peers))) },
    { label: 'Pipes', value: String(collectPipes(nodes).length) },
    { label: 'Consumers', value: String(sum(nodes.map(({ load }) => load.consumers))) },
    {
      label: 'Busiest worker',
      value: `${Math.max(0, ...nodes.map(({ load }) => load.cpuPercent))} %`,
    },
  ];
}

interface LegendProps {
  hues: Map<string, number>;
  chosen: string | undefined;
  onChoose: (room: string | undefined) => void;
}

/** The rooms and their colours; pressing one makes it stand out in the picture. */
const Legend = ({ hues, chosen, onChoose }: LegendProps) => (
  <ul class="legend" aria-label="Rooms to highlight">
    {[...hues].map(([room, hue]) => (
      <li key={room}>
        <button
          type="button"
          class={`chip hue-${hue}`}
          aria-pressed={chosen === room}
          onClick={() => onChoose(chosen === room ? undefined : room)}
        >
          <span class="swatch" aria-hidden="true" />
          {room}
        </button>
      </li>
    ))}
  </ul>
);

function Platform({ answer }: { answer: ConsoleResponse }) {
  const [chosen, setChosen] = useState<string>();
  const [ref, { width }] = useElementSize<HTMLDivElement>();
  const hues = roomHues([
    ...answer.rooms.map(({ name }) => name),
    ...answer.nodes.flatMap(({ routers }) => routers.map(({ roomId }) => roomId)),
  ]);
  const visible = chosen !== undefined && hues.has(chosen) ? chosen : undefined;
  return (
    <>
      <dl class="totals">
        {totalsOf(answer).map(({ label, value }) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <section aria-labelledby="picture-heading">
        <h2 id="picture-heading">Where the rooms are</h2>
        {hues.size > 0 && <Legend hues={hues} chosen={visible} onChoose={setChosen} />}
        <div class="picture" ref={ref}>
          {answer.nodes.length === 0 && <p class="empty">No media node has answered yet.</p>}
          {width > 0 && answer.nodes.length > 0 && (
            <PictureView
              picture={layoutPicture(answer.nodes, width)}
              hues={hues}
              chosen={visible}
            />
          )}
        </div>
      </section>
      <Tables answer={answer} />
    </>
  );
}

const timeFormat = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** Nodes, workers, rooms, routers and pipes as they are now. */
export function ConsoleView({ config, replica, token }: ConsoleViewProps) {
  const { answer, problem } = useConsoleData(config, replica, token);
  useEffect(() => {
    document.title = 'Console – kube-sfu';
  }, []);
  const state = problem === '' ? 'live' : 'stale';
  return (
    <div class="console">
      <header class="room-header">
        <Logo />
        <h1>Console</h1>
        <p class={`status-line ${answer || problem ? state : ''}`} role="status">
          <span class="dot" aria-hidden="true" />
          <span data-testid="console-status">{answer || problem ? state : 'connecting'}</span>
          {problem !== '' && <span class="reason">{problem}</span>}
        </p>
        {answer && (
          <span class="people">
            as of <time dateTime={answer.time}>{timeFormat.format(new Date(answer.time))}</time>
          </span>
        )}
        <span class="spacer" />
        <a class="quiet" href="#/">
          Join a room
        </a>
      </header>
      <main class={state}>{answer && <Platform answer={answer} />}</main>
    </div>
  );
}
