import type { ComponentChildren } from 'preact';

import type { Layers, SubscriptionState } from '../../../client/src/index.ts';
import { formatLayers, parseLayers } from '../layer-choice.ts';
import type { Meeting } from '../meeting.ts';
import { ChartIcon, PauseIcon, SpeakerIcon } from './icons.tsx';
import type { Tile } from './tiles.ts';

const AUTO = 'auto';

/** Names for three layers; with another number they are counted. */
const spatialNames = ['Low', 'Medium', 'High'];
const range = (length: number) => Array.from({ length }, (_, index) => index);

const spatialName = (layer: number, layers: number): string =>
  (layers === spatialNames.length ? spatialNames[layer] : undefined) ?? `Layer ${layer + 1}`;

/** Each temporal layer doubles the frame rate. Without one, the rate is whatever is there. */
function optionName({ spatialLayer, temporalLayer }: Layers, consumer: SubscriptionState): string {
  const name = spatialName(spatialLayer, consumer.spatialLayers);
  if (temporalLayer === undefined) return name;
  return `${name}, 1/${2 ** (consumer.temporalLayers - 1 - temporalLayer)} rate`;
}

/** What can be chosen, highest first: each spatial layer whole, then at its lower frame rates. */
function layerOptions({ spatialLayers, temporalLayers }: SubscriptionState): Layers[] {
  const rates = [undefined, ...range(temporalLayers - 1).reverse()];
  return range(spatialLayers)
    .reverse()
    .flatMap((spatialLayer) => rates.map((temporalLayer) => ({ spatialLayer, temporalLayer })));
}

/** Whether this person paused it. */
export const isPausedByUs = ({ pausedFor }: SubscriptionState): boolean =>
  pausedFor.includes('application');

interface ConsumerProps {
  meeting: Meeting;
  consumer: SubscriptionState;
  name: string;
}

function LayerSelect({ meeting, consumer, name }: ConsumerProps) {
  const { id, preferredLayers: preferred } = consumer;
  return (
    <select
      data-testid="layer-select"
      aria-label={`Layer to receive of ${name}`}
      title="Which layer to receive"
      value={preferred ? formatLayers(preferred) : AUTO}
      onChange={(event) => {
        const layers = parseLayers(event.currentTarget.value);
        meeting.room.subscription(id)?.setPreferredLayers(layers);
      }}
    >
      <option value={AUTO}>Auto</option>
      {layerOptions(consumer).map((layers) => (
        <option key={formatLayers(layers)} value={formatLayers(layers)}>
          {optionName(layers, consumer)}
        </option>
      ))}
    </select>
  );
}

/** What arrives: the layers as the server says, the size as the browser decodes it. */
function LayerReadout({ consumer, size }: { consumer: SubscriptionState; size: string }) {
  const { layers, spatialLayers, temporalLayers } = consumer;
  const temporal = layers?.temporalLayer;
  const text = layers
    ? `S${layers.spatialLayer + 1}/${spatialLayers}` +
      (temporal === undefined ? '' : ` T${temporal + 1}/${temporalLayers}`)
    : 'no layer';
  const words = layers
    ? `spatial layer ${layers.spatialLayer + 1} of ${spatialLayers}` +
      (temporal === undefined ? '' : `, temporal layer ${temporal + 1} of ${temporalLayers}`)
    : 'no layer arrives';
  return (
    <span class="readout" data-testid="layer-readout" title={`Receiving ${words}`}>
      <span aria-hidden="true">{consumer.type === 'simple' ? '' : text}</span>{' '}
      <span class="size">{size}</span>
      {consumer.type !== 'simple' && <span class="sr-only">{words}</span>}
    </span>
  );
}

interface IconButtonProps {
  testId: string;
  /** For those who can't see the icon. */
  label: string;
  title: string;
  onClick: () => void;
  children: ComponentChildren;
}

const IconButton = ({ testId, label, title, onClick, children }: IconButtonProps) => (
  <button type="button" data-testid={testId} aria-label={label} title={title} onClick={onClick}>
    {children}
  </button>
);

function PauseButton({ meeting, consumer, name }: ConsumerProps) {
  const { id, kind } = consumer;
  const paused = isPausedByUs(consumer);
  const what = kind === 'video' ? 'video' : 'sound';
  return (
    <IconButton
      testId="pause-consumer"
      label={`${paused ? 'Resume' : 'Pause'} the ${what} of ${name}`}
      title={paused ? 'Resume' : 'Pause'}
      onClick={() => meeting.room.subscription(id)?.setPaused(!paused)}
    >
      <PauseIcon paused={paused} />
    </IconButton>
  );
}

function SilenceButton({ meeting, consumer, name }: ConsumerProps) {
  const { id } = consumer;
  const paused = isPausedByUs(consumer);
  return (
    <IconButton
      testId="pause-audio"
      label={paused ? `Hear ${name} again` : `Silence ${name} for me`}
      title={paused ? 'Hear again' : 'Silence for me'}
      onClick={() => meeting.room.subscription(id)?.setPaused(!paused)}
    >
      <SpeakerIcon off={paused} />
    </IconButton>
  );
}

interface Props {
  meeting: Meeting;
  tile: Tile;
  /** The size of the picture that is decoded, like 640×360. */
  size: string;
  onStats: (id: string) => void;
}

/** What can be done about one tile: choose its layers, silence it, pause it, see its numbers. */
export function TileControls({ meeting, tile, size, onStats }: Props) {
  const { consumer, audio, producer, name, source } = tile;
  const video = source === 'audio' ? undefined : consumer;
  const statsId = consumer?.id ?? producer?.source;
  return (
    <div class="controls">
      {video && <LayerReadout consumer={video} size={size} />}
      <span class="spacer" />
      {video && video.type !== 'simple' && (
        <LayerSelect meeting={meeting} consumer={video} name={name} />
      )}
      {video && audio && <SilenceButton meeting={meeting} consumer={audio} name={name} />}
      {consumer && <PauseButton meeting={meeting} consumer={consumer} name={name} />}
      {statsId !== undefined && (
        <IconButton
          testId="tile-stats"
          label={`Statistics of ${name}`}
          title="Statistics"
          onClick={() => onStats(statsId)}
        >
          <ChartIcon />
        </IconButton>
      )}
    </div>
  );
}
