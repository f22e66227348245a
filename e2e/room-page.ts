import type { Page } from 'playwright-core';

import { until } from '../testing/until.ts';

export interface ConsumerSnapshot {
  /** The server's present consumer; it changes with a move. */
  id: string;
  /** The page's subscription, which stays the same. */
  subscription: string;
  peerId: string;
  kind: 'audio' | 'video';
  source: string;
  type: string;
  paused: boolean;
  producerPaused: boolean;
  layers?: { spatialLayer: number; temporalLayer?: number };
  framesDecoded?: number;
  frameWidth?: number;
  totalSamplesReceived?: number;
}

export interface Snapshot {
  connection: string;
  peers: { peerId: string; displayName: string }[];
  consumers: ConsumerSnapshot[];
  producers: { id: string; kind: string; source: string; paused: boolean }[];
  chat: { peerId?: string; text: string }[];
}

export interface JoinOptions {
  baseUrl: string;
  room: string;
  name: string;
  /** Which signaling replica, counted from 0. */
  replica?: number;
  /** Of the camera, in pixels. */
  videoHeight?: number;
  /** A room token. */
  token?: string;
  /** `none`: the client announces no extensions of the protocol. */
  extensions?: 'none';
}

/** The demo page as its user sees it, by its test ids and its statistics. */
export class RoomPage {
  readonly page: Page;
  readonly name: string;

  private constructor(page: Page, name: string) {
    this.page = page;
    this.name = name;
  }

  /** Opens the page, fills the form in and joins. */
  static async join(
    page: Page,
    { baseUrl, room, name, replica = 0, videoHeight = 270, token, extensions }: JoinOptions,
  ): Promise<RoomPage> {
    // Two layers: five pages share the machine, and each encodes and decodes in software.
    const query = new URLSearchParams({
      ...{ peer: name, replica: String(replica), videoHeight: String(videoHeight) },
      ...(token === undefined ? {} : { token }),
      ...(extensions === undefined ? {} : { extensions }),
    });
    await page.goto(`${baseUrl}/?${query.toString()}`);
    await page.getByTestId('name-input').fill(name);
    await page.getByTestId('room-input').fill(room);
    await page.getByTestId('join-button').click();
    const roomPage = new RoomPage(page, name);
    await until(
      `${name} to be connected`,
      async () => (await roomPage.snapshot()).connection === 'connected',
    );
    return roomPage;
  }

  snapshot(): Promise<Snapshot> {
    return this.page.evaluate(() =>
      (
        globalThis as unknown as { __kubeSfu: { snapshot: () => Promise<Snapshot> } }
      ).__kubeSfu.snapshot(),
    );
  }

  async consumer(peerId: string, source: string): Promise<ConsumerSnapshot | undefined> {
    const { consumers } = await this.snapshot();
    return consumers.find((consumer) => consumer.peerId === peerId && consumer.source === source);
  }

  /** Waits until video of this peer is decoded now, not only once. */
  async decodesVideoOf(peerId: string, source = 'video'): Promise<void> {
    const first = await until(`${this.name} to decode ${source} of ${peerId}`, async () => {
      const consumer = await this.consumer(peerId, source);
      return consumer?.framesDecoded;
    });
    await until(
      `${this.name} to decode more of ${source} of ${peerId}`,
      async () => ((await this.consumer(peerId, source))?.framesDecoded ?? 0) > first + 3,
    );
  }

  async receivesAudioOf(peerId: string): Promise<void> {
    const samples = async (): Promise<number> =>
      (await this.consumer(peerId, 'audio'))?.totalSamplesReceived ?? 0;
    const first = await until(`${this.name} to receive audio of ${peerId}`, samples);
    await until(
      `${this.name} to receive more audio of ${peerId}`,
      async () => (await samples()) > first + 4800,
    );
  }

  async seesAndHears(peerId: string): Promise<void> {
    await Promise.all([this.decodesVideoOf(peerId), this.receivesAudioOf(peerId)]);
  }

  async chat(text: string): Promise<void> {
    await this.page.getByTestId('chat-input').fill(text);
    await this.page.getByTestId('chat-send').click();
  }

  async sawChat(text: string): Promise<void> {
    await until(`${this.name} to see "${text}"`, async () =>
      (await this.snapshot()).chat.some((line) => line.text === text),
    );
  }

  async leave(): Promise<void> {
    await this.page.getByTestId('leave-button').click();
  }
}
