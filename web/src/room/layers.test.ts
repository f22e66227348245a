import { describe, expect, it } from '@jest/globals';

import { cameraEncodings } from './encodings.ts';
import { LayerChooser } from './layer-chooser.ts';
import { formatLayers, parseLayers, spatialLayerForHeight } from './layers.ts';
import { addConsumer, patchConsumer, removeConsumer } from './reduce.ts';
import { initialRoomState, type Layers } from './state.ts';
import { createStore } from './store.ts';

describe('spatialLayerForHeight', () => {
  it.each([
    ['a thumbnail', 100, 3, 0],
    ['a tile of a full grid', 220, 3, 0],
    ['half a screen', 400, 3, 1],
    ['a whole screen', 700, 3, 2],
    ['a screen of many pixels', 2000, 3, 2],
    ['a picture of a small camera', 300, 2, 1],
    ['a picture that has only one layer', 100, 1, 0],
    ['a picture of unknown size', Number.POSITIVE_INFINITY, 3, 2],
  ])('asks for the lowest sharp layer of %s', (_title, height, layers, want) => {
    expect(spatialLayerForHeight(height, layers)).toBe(want);
  });
});

describe('a layer choice in a form', () => {
  it.each([
    ['2', { spatialLayer: 2, temporalLayer: undefined }],
    ['2-1', { spatialLayer: 2, temporalLayer: 1 }],
  ])('reads back %s', (value, layers) => {
    expect(parseLayers(value)).toEqual(layers);
    expect(formatLayers(layers)).toBe(value);
  });

  it.each(['auto', '', '2-', '-1', 'a-b', '10-1'])('takes %j for no choice', (value) => {
    expect(parseLayers(value)).toBeUndefined();
  });
});

describe('cameraEncodings', () => {
  it.each([
    ['a usual camera', { width: 1280, height: 720 }, [4, 2, 1]],
    ['a small camera', { width: 640, height: 480 }, [2, 1]],
    ['a tiny camera', { width: 320, height: 180 }, [1]],
    ['a camera that does not tell its size', {}, [4, 2, 1]],
  ])('has the layers that the browser will send of %s', (_title, size, want) => {
    expect(cameraEncodings(size).map((one) => one.scaleResolutionDownBy)).toEqual(want);
  });
});

describe('LayerChooser', () => {
  function watch(type = 'simulcast') {
    const store = createStore(
      addConsumer(initialRoomState, {
        peerId: 'grace',
        transportId: 't',
        consumerId: 'c',
        producerId: 'p',
        kind: 'video',
        rtpParameters: { codecs: [], encodings: [{ scalabilityMode: 'L3T3' }] },
        type,
        producerPaused: false,
        consumerScore: {},
        appData: {},
      }),
    );
    const asked: Layers[] = [];
    return { store, asked, chooser: new LayerChooser(store, (_id, layers) => asked.push(layers)) };
  }

  it('follows the size of the picture and asks only when the layer changes', () => {
    const { asked, chooser } = watch();
    chooser.setHeight('c', 700);
    chooser.setHeight('c', 690);
    chooser.setHeight('c', 120);
    expect(asked).toEqual([
      { spatialLayer: 2, temporalLayer: 2 },
      { spatialLayer: 0, temporalLayer: 2 },
    ]);
  });

  it('keeps to what the person chose until they leave it to the size again', () => {
    const { store, asked, chooser } = watch();
    chooser.setHeight('c', 120);
    const prefer = (preferred: Layers | undefined) => {
      store.update((state) => patchConsumer(state, 'c', { preferred }));
      chooser.choose('c');
    };
    prefer({ spatialLayer: 2, temporalLayer: 0 });
    chooser.setHeight('c', 400);
    prefer(undefined);
    expect(asked.map(formatLayers)).toEqual(['0-2', '2-0', '1-2']);
  });

  it('asks nothing of a consumer without layers, or one that is gone', () => {
    const simple = watch('simple');
    simple.chooser.setHeight('c', 400);
    const gone = watch();
    gone.store.update((state) => removeConsumer(state, 'c'));
    gone.chooser.choose('c');
    expect([...simple.asked, ...gone.asked]).toEqual([]);
  });

  it('asks anew after the connection was made anew', () => {
    const { asked, chooser } = watch();
    chooser.setHeight('c', 120);
    chooser.clear();
    chooser.setHeight('c', 120);
    expect(asked).toHaveLength(2);
  });
});
