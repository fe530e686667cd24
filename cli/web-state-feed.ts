/** Pushes the newest state to every open tab, at its own pace: a slow tab misses states, nobody waits for it. */
import type { Observable } from "rxjs";
import { WebSocket } from "ws";
import type { Clock } from "../hal/clock.ts";
import { messageOf } from "../hal/errors.ts";
import { type Logger, toJson } from "../hal/log.ts";
import type { LiveState } from "./live-state.ts";

/** The tabs that watch a station. */
export interface StateFeed {
  latest(): LiveState | null;
  isFull(): boolean;
  /** Takes a tab, and sends it what is known. */
  add(client: WebSocket): void;
  /** Ends every tab's connection. Idempotent. */
  close(): void;
}

const pushPeriodMs = 250;
const clientsMax = 64;
/** Bytes that may wait for a tab before a state is left out for it. */
const queuedBytesMax = 65_536;
/** A tab that took nothing for this many states is gone (one minute). */
const skippedMax = 240;
/** Every this many periods the tab has to answer a ping: a cable pulled tells nobody. */
const pingPeriods = 40;

interface Tab {
  skipped: number;
  isAlive: boolean;
}

/** Creates a feed of `state$`; when that ends, the tabs are told so by the end of their connection. */
export function createStateFeed(options: {
  readonly state$: Observable<LiveState>;
  readonly clock: Clock;
  readonly logger: Logger;
}): StateFeed {
  const { clock, logger } = options;
  const tabs = new Map<WebSocket, Tab>();
  let latest: LiveState | null = null;
  let isFresh = false;
  let isClosed = false;
  let periods = 0;
  let timer: Disposable | undefined;

  const close = (): void => {
    isClosed = true;
    timer?.[Symbol.dispose]();
    subscription.unsubscribe();
    for (const client of tabs.keys()) client.terminate();
    tabs.clear();
  };
  const push = (): void => {
    if (isClosed) return;
    periods += 1;
    if (periods % pingPeriods === 0) pingTabs(tabs);
    if (isFresh && latest !== null && tabs.size > 0) sendToTabs(tabs, toJson(latest));
    isFresh = false;
    timer = clock.after(pushPeriodMs, push);
  };
  const subscription = options.state$.subscribe({
    next: (state) => {
      latest = state;
      isFresh = true;
    },
    error: (error) => {
      logger.error({ error: messageOf(error) }, "the station's state ended with an error");
      for (const client of tabs.keys()) client.close(1011);
    },
    complete: () => {
      for (const client of tabs.keys()) client.close(1001);
    },
  });
  timer = clock.after(pushPeriodMs, push);
  return {
    latest: () => latest,
    isFull: () => tabs.size >= clientsMax,
    add: (client) => {
      tabs.set(client, { skipped: 0, isAlive: true });
      client.on("close", () => tabs.delete(client));
      client.on("error", () => client.terminate());
      client.on("pong", () => {
        const tab = tabs.get(client);
        if (tab !== undefined) tab.isAlive = true;
      });
      if (latest !== null) client.send(toJson(latest));
    },
    close,
  };
}

function sendToTabs(tabs: ReadonlyMap<WebSocket, Tab>, json: string): void {
  for (const [client, tab] of tabs) {
    if (client.readyState !== WebSocket.OPEN) continue;
    if (client.bufferedAmount > queuedBytesMax) {
      tab.skipped += 1;
      if (tab.skipped > skippedMax) client.terminate();
      continue;
    }
    tab.skipped = 0;
    client.send(json);
  }
}

function pingTabs(tabs: ReadonlyMap<WebSocket, Tab>): void {
  for (const [client, tab] of tabs) {
    if (!tab.isAlive) {
      client.terminate();
      continue;
    }
    tab.isAlive = false;
    client.ping();
  }
}
