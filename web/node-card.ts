/** One node: its detectors in large numbers, its devices, and what was lost. */
import type { NodeState } from "../cli/live-state.ts";
import { type Chart, createSparkline } from "./charts.ts";
import { createKeyedList, createValue, element, setText, type ValueView } from "./elements.ts";
import { timeOfDayIso } from "./page-clock.ts";
import { formatQuantity, quantityOf, rateStyle } from "./quantity.ts";
import { createTrend, type Trend } from "./trend.ts";

type DetectorState = NodeState["detectors"][number];
type DeviceState = NodeState["devices"][number];
type LossState = NodeState["losses"][number];

/** A node's card. */
export interface NodeCard {
  readonly root: HTMLElement;
  update(node: NodeState, atS: number): void;
}

const lossesShownMax = 6;

/** Creates the card of one node. */
export function createNodeCard(name: string): NodeCard {
  const detectors = element("div", { className: "detectors" });
  const devices = element("ul", { className: "devices", attributes: { "aria-label": "Devices" } });
  const losses = element("ul", { className: "losses", attributes: { "aria-label": "Losses" } });
  const lost = element("p", { className: "lost", testId: `lost-${name}` });
  const root = element(
    "section",
    { className: "card node", attributes: { "aria-label": `Node ${name}` } },
    [element("h2", { text: name }), detectors, devices, lost, losses],
  );
  let atS = 0;
  const showDetectors = createKeyedList<DetectorState, DetectorView>(detectors, {
    key: (detector) => detector.name,
    create: (detector) => createDetector(name, detector),
    update: (view, detector) => view.update(detector, atS),
  });
  const showDevices = createKeyedList<DeviceState, DeviceView>(devices, {
    key: (device) => device.name,
    create: (device) => createDevice(name, device),
    update: (view, device) => view.update(device),
  });
  const showLosses = createKeyedList<LossState, LossView>(losses, {
    key: (loss) => `${loss.fromPs}-${loss.cause}`,
    create: () => createLoss(),
    update: (view, loss) => view.update(loss),
  });
  return {
    root,
    update: (node, nextAtS) => {
      atS = nextAtS;
      showDetectors(node.detectors);
      showDevices(node.devices);
      setText(lost, lostSentence(node));
      lost.setAttribute("data-lossy", String(node.lostTags === null || node.lostTags > 0));
      showLosses(node.losses.slice(-lossesShownMax).toReversed());
    },
  };
}

function lostSentence({ lostTags, losses }: NodeState): string {
  if (lostTags === 0 && losses.length === 0) return "No loss known.";
  const intervals = `${losses.length} ${losses.length === 1 ? "interval" : "intervals"}`;
  const tags = lostTags === null ? "Tags lost, how many is not known" : `${lostTags} tags lost`;
  return `${tags}, ${intervals} listed.`;
}

interface DetectorView {
  readonly root: HTMLElement;
  update(detector: DetectorState, atS: number): void;
}

function createDetector(node: string, detector: DetectorState): DetectorView {
  const value: ValueView = createValue(`singles-${node}-${detector.name}`, "large");
  const trend: Trend = createTrend(1);
  const chart: Chart = createSparkline({
    label: detector.name,
    color: detector.basis === "z" ? "--basis-z" : "--basis-x",
  });
  const basis = `${detector.basis.toUpperCase()}${detector.outcome}`;
  const label = element("span", { className: "label" }, [
    element("span", { className: "dot", attributes: { "aria-hidden": "true" } }),
    element("span", { text: detector.name }),
    element("span", {
      className: "hint",
      text: `${basis} · input ${detector.channel + 1}`,
    }),
  ]);
  const dark = element("span", {
    className: "hint value",
    testId: `dark-${node}-${detector.name}`,
  });
  const root = element("div", { className: "detector" }, [label, value.root, dark, chart.root]);
  root.setAttribute("data-basis", detector.basis);
  return {
    root,
    update: ({ singlesRateHz, darkCountRateHz }, atS) => {
      setText(dark, `dark ${formatQuantity(darkCountRateHz, "/s", rateStyle)}`);
      value.show(quantityOf(singlesRateHz, "/s", rateStyle), singlesRateHz?.value ?? null);
      trend.add(atS, [singlesRateHz?.value ?? null]);
      chart.setColumns(trend.columns());
    },
  };
}

interface DeviceView {
  readonly root: HTMLElement;
  update(device: DeviceState): void;
}

function createDevice(node: string, device: DeviceState): DeviceView {
  const badge = element("span", { className: "chip", testId: `device-${node}-${device.name}` });
  const since = element("span", { className: "hint" });
  const message = element("span", { className: "device-message" });
  const driver = element("span", { className: "hint driver" });
  const root = element("li", {}, [
    element("span", { className: "device-name", text: device.name }),
    driver,
    badge,
    since,
    message,
  ]);
  return {
    root,
    update: (next) => {
      setText(badge, next.state);
      badge.setAttribute("data-state", next.state);
      setText(since, `since ${timeOfDayIso(next.since)}`);
      setText(driver, `${next.driver} on ${next.port}`);
      setText(message, next.message ?? "");
    },
  };
}

interface LossView {
  readonly root: HTMLElement;
  update(loss: LossState): void;
}

function createLoss(): LossView {
  const root = element("li");
  return {
    root,
    update: ({ fromPs, toPs, count, cause }) => {
      const fromS = (Number(fromPs) / 1e12).toFixed(3);
      const length = formatQuantity(Number(BigInt(toPs) - BigInt(fromPs)) / 1e12, "s");
      const tags = count === null ? "an unknown number of tags" : `${count} tags`;
      setText(root, `${cause}: ${tags} over ${length}, from ${fromS} s`);
    },
  };
}
