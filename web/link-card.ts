/** One link: coincidences as the largest number, what limits them, the histogram, visibility, and keys. */
import type { LinkState } from "../cli/live-state.ts";
import { createHistogram, createSparkline } from "./charts.ts";
import { createValue, element, setText, type ValueView } from "./elements.ts";
import { createEstimateMeter, type EstimateMeter } from "./estimate-meter.ts";
import { createKeyPanel } from "./key-panel.ts";
import { timeOfDayIso } from "./page-clock.ts";
import { formatQuantity, plainStyle, quantityOf, rateStyle } from "./quantity.ts";
import { createTrend } from "./trend.ts";

/** A link's card. */
export interface LinkCard {
  readonly root: HTMLElement;
  update(link: LinkState, atS: number): void;
}

/** Creates the card of one link. */
export function createLinkCard(initial: LinkState): LinkCard {
  const { name } = initial;
  const status = createLinkStatus(name);
  const figures = createFigures(initial);
  const meters = createMeters(name);
  const histogram = createHistogram();
  const keys = createKeyPanel(name);
  const root = element(
    "section",
    { className: "card link", attributes: { "aria-label": `Link ${name}` } },
    [
      element("div", { className: "card-head" }, [
        element("h2", { text: `${initial.ends[0]} – ${initial.ends[1]}` }),
        status.root,
      ]),
      element("div", { className: "link-top" }, [
        figures.root,
        element("div", { className: "panel" }, [
          element("h3", { text: "Coincidence histogram, window shaded" }),
          histogram.root,
        ]),
      ]),
      meters.root,
      keys.root,
    ],
  );
  return {
    root,
    update: (link, atS) => {
      status.update(link, atS);
      figures.update(link, atS);
      meters.update(link, atS);
      if (link.histogram !== null) histogram.show(link.histogram);
      keys.update(link, atS);
    },
  };
}

interface LinkPart {
  readonly root: HTMLElement;
  update(link: LinkState, atS: number): void;
}

function createLinkStatus(name: string): LinkPart {
  const channel = element("span", { className: "chip", testId: `channel-${name}` });
  const clock = element("span", { className: "chip", testId: `clock-${name}` });
  const offset = element("span", { className: "hint value", testId: `clock-offset-${name}` });
  const drift = element("span", { className: "hint value", testId: `clock-drift-${name}` });
  const reason = element("span", { className: "device-message" });
  const root = element("div", { className: "chips" }, [channel, clock, offset, drift, reason]);
  return {
    root,
    update: (link) => {
      setText(channel, `channel ${link.channel.state}`);
      channel.title = `since ${timeOfDayIso(link.channel.since)}`;
      channel.setAttribute("data-state", link.channel.state);
      setText(reason, link.channel.reason ?? "");
      setText(clock, `clock ${link.clock.state}`);
      clock.title = `since ${timeOfDayIso(link.clock.since)}`;
      clock.setAttribute("data-state", link.clock.state);
      setText(offset, `offset ${offsetText(link.clock)}`);
      setText(drift, `drift ${formatQuantity(link.clock.driftPpb, "ppb", plainStyle)}`);
    },
  };
}

function offsetText({ offsetPs, uncertaintyPs }: LinkState["clock"]): string {
  if (offsetPs === null) return "–";
  const uncertainty = uncertaintyPs === null ? null : uncertaintyPs / 1e12;
  return formatQuantity({ value: Number(offsetPs) / 1e12, uncertainty }, "s");
}

function createFigures({ name, ends }: LinkState): LinkPart {
  const coincidences = createValue(`coincidences-${name}`, "hero");
  const trend = createTrend(1);
  const chart = createSparkline({ label: "coincidences", color: "--accent" }, 64);
  const stats: readonly {
    readonly label: string;
    readonly view: ValueView;
    readonly show: (view: ValueView, link: LinkState) => void;
  }[] = [
    {
      label: "accidentals",
      view: createValue(`accidentals-${name}`, "small"),
      show: (view, { accidentalRateHz }) =>
        view.show(quantityOf(accidentalRateHz, "/s", rateStyle), accidentalRateHz?.value ?? null),
    },
    {
      label: "CAR",
      view: createValue(`car-${name}`, "small"),
      show: (view, { car }) => view.show(quantityOf(car, "", plainStyle), car?.value ?? null),
    },
    {
      label: "jitter, FWHM",
      view: createValue(`jitter-${name}`, "small"),
      show: (view, { jitterPsFwhm }) =>
        view.show(
          quantityOf(
            jitterPsFwhm === null
              ? null
              : { value: jitterPsFwhm.value / 1e12, uncertainty: jitterPsFwhm.uncertainty / 1e12 },
            "s",
          ),
          jitterPsFwhm?.value ?? null,
        ),
    },
    ...(["first", "second"] as const).map((end, index) => ({
      label: `loss, ${ends[index]}`,
      view: createValue(`loss-${end}-${name}`, "small"),
      show: (view: ValueView, { lossDb }: LinkState): void =>
        view.show(quantityOf(lossDb[end], "dB", plainStyle), lossDb[end]?.value ?? null),
    })),
    {
      label: "pairs so far",
      view: createValue(`pairs-${name}`, "small"),
      show: (view, { pairs }) => view.show(quantityOf(pairs, "", rateStyle), pairs),
    },
    {
      label: "lag, p99",
      view: createValue(`lag-${name}`, "small"),
      show: (view, { lagMs }) =>
        view.show(quantityOf(lagMs === null ? null : lagMs.p99 / 1e3, "s"), lagMs?.p99 ?? null),
    },
  ];
  const root = element("div", { className: "panel figures" }, [
    element("h3", { text: "Coincidences" }),
    coincidences.root,
    chart.root,
    element(
      "div",
      { className: "stats" },
      stats.map(({ label, view }) =>
        element("div", { className: "stat" }, [
          element("span", { className: "label", text: label }),
          view.root,
        ]),
      ),
    ),
  ]);
  return {
    root,
    update: (link, atS) => {
      const rate = link.coincidenceRateHz;
      coincidences.show(quantityOf(rate, "/s", rateStyle), rate?.value ?? null);
      trend.add(atS, [rate?.value ?? null]);
      chart.setColumns(trend.columns());
      for (const { view, show } of stats) show(view, link);
    },
  };
}

function createMeters(name: string): LinkPart {
  const visibility = (basis: "Z" | "X"): EstimateMeter =>
    createEstimateMeter({
      label: `visibility ${basis}`,
      title: "Contrast of correlated to anticorrelated coincidences; good above 0.9",
      testId: `visibility-${basis.toLowerCase()}-${name}`,
      ...{ min: 0.5, max: 1, goodFrom: 0.9, goodTo: 1, display: "fraction" },
    });
  const z = visibility("Z");
  const x = visibility("X");
  const qber = createEstimateMeter({
    label: "QBER",
    title: "Quantum bit error rate of the sifted key; no BBM92 key above 11 %",
    testId: `qber-${name}`,
    ...{ min: 0, max: 0.15, goodFrom: 0, goodTo: 0.05, display: "percent" },
  });
  const root = element("div", { className: "meters" }, [z.root, x.root, qber.root]);
  return {
    root,
    update: (link) => {
      z.show(link.visibility.z);
      x.show(link.visibility.x);
      qber.show(link.qber);
    },
  };
}
