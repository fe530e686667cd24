/** The page's line to the station: it reports each state, and since when there is none. */
import type { LiveState } from "../cli/live-state.ts";
import { after, nowS } from "./page-clock.ts";

/** Whether the numbers on the page are of now; `sinceS` is the time of the last state received. */
export type ConnectionState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "disconnected"; readonly sinceS: number };

const retryMsMin = 1_000;
const retryMsMax = 8_000;
/** A station reports four times a second; one that is silent for this long is not live, whatever the socket says. */
const silenceMsMax = 3_000;

/** Connects, and connects again for as long as the page is open. */
export function connect(handlers: {
  readonly onState: (state: LiveState) => void;
  readonly onConnection: (connection: ConnectionState) => void;
}): void {
  let lastHeardS = nowS();
  let isLive = false;
  let retryMs = retryMsMin;

  const lose = (): void => {
    isLive = false;
    handlers.onConnection({ kind: "disconnected", sinceS: lastHeardS });
  };
  const hear = (text: string): void => {
    const state = JSON.parse(text) as LiveState;
    lastHeardS = nowS();
    retryMs = retryMsMin;
    if (!isLive) handlers.onConnection({ kind: "live" });
    isLive = true;
    handlers.onState(state);
  };
  const open = (): void => {
    const socket = new WebSocket(`ws://${location.host}/api/live`);
    socket.addEventListener("message", (event) => {
      if (typeof event.data === "string") hear(event.data);
    });
    socket.addEventListener("close", () => {
      lose();
      after(retryMs, open);
      retryMs = Math.min(retryMs * 2, retryMsMax);
    });
  };
  const watch = (): void => {
    if (isLive && nowS() - lastHeardS > silenceMsMax / 1000) lose();
    after(silenceMsMax / 6, watch);
  };
  handlers.onConnection({ kind: "connecting" });
  open();
  watch();
}
