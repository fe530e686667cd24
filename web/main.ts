/** The page: a header that says whether the numbers are of now, one card a link, one card a node. */
import type { LinkState, LiveState, NodeState } from "../cli/live-state.ts";
import { type ConnectionState, connect } from "./connection.ts";
import { createKeyedList, element, setText } from "./elements.ts";
import { createFarView } from "./far-view.ts";
import { createLinkCard, type LinkCard } from "./link-card.ts";
import { createNodeCard, type NodeCard } from "./node-card.ts";
import { elapsed, timeOfDay } from "./page-clock.ts";
import { createTone } from "./tone.ts";

const station = element("h1", { text: "Bellwether", testId: "station" });
const subtitle = element("p", {
  className: "hint",
  testId: "uptime",
  text: "waiting for the station",
});
const badge = element("p", {
  className: "badge",
  testId: "connection",
  attributes: { role: "status" },
});
const links = element("div", { className: "links" });
const nodes = element("div", { className: "nodes" });
const tone = createTone();
const farView = createFarView(() => setFar(false));
const farButton = button("Across the lab", "Large numbers, full screen (F)");
const toneButton = button("Tone", "A tone that rises with the coincidence rate (T)");
const volume = element("input", {
  attributes: {
    type: "range",
    min: "0",
    max: "1",
    step: "0.01",
    value: "0.5",
    "aria-label": "Volume of the tone",
  },
});
volume.disabled = true;
let atS = 0;

const showLinks = createKeyedList<LinkState, LinkCard>(links, {
  key: (link) => link.name,
  create: (link) => createLinkCard(link),
  update: (card, link) => card.update(link, atS),
});
const showNodes = createKeyedList<NodeState, NodeCard>(nodes, {
  key: (node) => node.name,
  create: (node) => createNodeCard(node.name),
  update: (card, node) => card.update(node, atS),
});

function button(text: string, title: string): HTMLButtonElement {
  const created = element("button", {
    className: "button",
    text,
    attributes: { title, "aria-pressed": "false" },
  });
  created.type = "button";
  return created;
}

function showState(state: LiveState): void {
  atS = Date.parse(state.at) / 1000;
  setText(station, state.station);
  document.title = `${state.station} · Bellwether`;
  setText(subtitle, `running ${elapsed(state.startedAt, state.at)}`);
  showLinks(state.links);
  showNodes(state.nodes);
  farView.update(state);
  tone.follow(state.links[0]?.coincidenceRateHz?.value ?? null);
}

function showConnection(connection: ConnectionState): void {
  document.body.setAttribute("data-connection", connection.kind);
  const text = connectionText(connection);
  setText(badge, text);
  farView.showConnection(text);
  if (connection.kind !== "live") tone.follow(null);
}

function connectionText(connection: ConnectionState): string {
  switch (connection.kind) {
    case "connecting":
      return "connecting";
    case "live":
      return "live";
    case "disconnected":
      return `disconnected since ${timeOfDay(connection.sinceS)}`;
  }
}

function setFar(isFar: boolean): void {
  document.body.setAttribute("data-view", isFar ? "far" : "near");
  farButton.setAttribute("aria-pressed", String(isFar));
  // Full screen is a wish: a browser may refuse it, and the large view works without.
  const change = isFar
    ? document.documentElement.requestFullscreen?.()
    : document.fullscreenElement === null
      ? undefined
      : document.exitFullscreen();
  change?.catch(() => undefined);
}

function setTone(isOn: boolean): void {
  tone.setOn(isOn);
  volume.disabled = !isOn;
  toneButton.setAttribute("aria-pressed", String(isOn));
}

const isPressed = (target: HTMLButtonElement): boolean =>
  target.getAttribute("aria-pressed") === "true";

farButton.addEventListener("click", () => setFar(!isPressed(farButton)));
toneButton.addEventListener("click", () => setTone(!isPressed(toneButton)));
volume.addEventListener("input", () => tone.setVolume(volume.valueAsNumber));
document.addEventListener("fullscreenchange", () => {
  if (document.fullscreenElement === null) setFar(false);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "f") setFar(!isPressed(farButton));
  if (event.key === "t") setTone(!isPressed(toneButton));
  if (event.key === "Escape") setFar(false);
});

document.body.append(
  element("header", { className: "top" }, [
    element("div", { className: "title" }, [station, subtitle]),
    badge,
    element("div", { className: "tools" }, [toneButton, volume, farButton]),
  ]),
  element("main", {}, [links, nodes]),
  farView.root,
);
document.body.setAttribute("data-view", "near");
tone.setVolume(volume.valueAsNumber);
connect({ onState: showState, onConnection: showConnection });
