/** The curves of the page, drawn by uPlot in the colours of the style sheet. */
import uPlot from "/uplot.js";
import { element } from "./elements.ts";
import { formatTick } from "./quantity.ts";

/** A chart that takes new columns as they come. */
export interface Chart {
  readonly root: HTMLElement;
  setColumns(columns: uPlot.AlignedData): void;
}

/** A curve of a chart; `color` names a custom property of the style sheet. */
export interface Curve {
  readonly label: string;
  readonly color: string;
}

const font = "11px system-ui, sans-serif";
const cssColor = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const darkScheme = matchMedia("(prefers-color-scheme: dark)");

/** Puts a plot into a box that gives it its width, and redraws it when the colour scheme changes. */
function mount(
  height: number,
  className: string,
  create: (width: number, box: HTMLElement) => uPlot,
): { readonly root: HTMLElement; readonly plot: uPlot } {
  const root = element("div", { className: `chart ${className}` });
  const plot = create(320, root);
  new ResizeObserver(() => {
    if (root.clientWidth > 0) plot.setSize({ width: root.clientWidth, height });
  }).observe(root);
  darkScheme.addEventListener("change", () => plot.redraw(false));
  return { root, plot };
}

const axis = (options: uPlot.Axis): uPlot.Axis => ({
  font,
  stroke: () => cssColor("--muted"),
  grid: { stroke: () => cssColor("--grid"), width: 1 },
  ticks: { show: false },
  gap: 6,
  ...options,
});

const wash = (color: string) => (): string =>
  `color-mix(in srgb, ${cssColor(color)} 14%, transparent)`;

/** Creates a curve without axes, scaled to its own range, for the shape of the last two minutes. */
export function createSparkline(curve: Curve, height = 34): Chart {
  const { root, plot } = mount(
    height,
    "sparkline",
    (width, box) =>
      new uPlot(
        {
          width,
          height,
          padding: [3, 0, 3, 0],
          cursor: { show: false },
          legend: { show: false },
          axes: [{ show: false }, { show: false }],
          scales: {
            x: { range: (_plot, min, max) => recentRange(min ?? 0, max ?? 0) },
            y: { range: (_plot, min, max) => paddedRange(min ?? 0, max ?? 1) },
          },
          series: [
            {},
            {
              label: curve.label,
              stroke: () => cssColor(curve.color),
              fill: wash(curve.color),
              width: 1.5,
              points: { show: false },
            },
          ],
        },
        [[], []],
        box,
      ),
  );
  return { root, setColumns: (columns) => plot.setData(columns) };
}

/** The last two minutes, or what there is of them. */
function recentRange(minS: number, maxS: number): [number, number] {
  const spanS = Math.min(120, Math.max(10, maxS - minS));
  return [maxS - spanS, maxS];
}

/** Never magnifies less than 4 % of a value to the full height: shot noise is not an event. */
function paddedRange(min: number, max: number): [number, number] {
  const middle = (min + max) / 2;
  const half = Math.max((max - min) * 0.6, Math.abs(middle) * 0.04, 1e-9);
  return [Math.max(0, middle - half), middle + half];
}

/** Creates curves of rates against the time of day. */
export function createRateChart(curves: readonly Curve[], unit: string, height = 170): Chart {
  const { root, plot } = mount(
    height,
    "rates",
    (width, box) =>
      new uPlot(
        {
          width,
          height,
          padding: [10, 32, 2, 0],
          cursor: { show: false },
          legend: { show: false },
          axes: [
            axis({ size: 28, space: 80, values: (_plot, splits) => splits.map(clockLabel) }),
            axis({
              size: 58,
              space: 36,
              values: (_plot, splits) => splits.map((split) => formatTick(split, unit)),
            }),
          ],
          scales: { y: { range: (_plot, _min, max) => [0, Math.max((max ?? 0) * 1.15, 1)] } },
          series: [
            {},
            ...curves.map(({ label, color }) => ({
              label,
              stroke: () => cssColor(color),
              fill: wash(color),
              width: 2,
              points: { show: false },
            })),
          ],
        },
        [[], ...curves.map(() => [])],
        box,
      ),
  );
  return { root, setColumns: (columns) => plot.setData(columns) };
}

const clockLabel = (secondsSince1970: number): string =>
  new Date(secondsSince1970 * 1000).toTimeString().slice(0, 8);

/** A histogram with its window shaded; times in ns. */
export interface HistogramChart {
  readonly root: HTMLElement;
  show(histogram: {
    readonly fromPs: number;
    readonly binPs: number;
    readonly counts: readonly number[];
    readonly windowPs: number;
  }): void;
}

/** Creates the coincidence histogram: bars against remote minus local time, the window shaded about zero. */
export function createHistogram(height = 280): HistogramChart {
  let windowNs = 0;
  const shadeWindow = (plot: uPlot): void => {
    const left = Math.max(plot.valToPos(-windowNs / 2, "x", true), plot.bbox.left);
    const right = Math.min(
      plot.valToPos(windowNs / 2, "x", true),
      plot.bbox.left + plot.bbox.width,
    );
    if (!(right > left)) return;
    plot.ctx.save();
    plot.ctx.fillStyle = cssColor("--window");
    plot.ctx.fillRect(left, plot.bbox.top, right - left, plot.bbox.height);
    plot.ctx.restore();
  };
  const { root, plot } = mount(
    height,
    "histogram",
    (width, box) =>
      new uPlot(
        {
          width,
          height,
          padding: [10, 14, 2, 0],
          cursor: { show: false },
          legend: { show: false },
          axes: [
            axis({
              label: "remote − local time (ns)",
              labelFont: font,
              labelSize: 16,
              size: 28,
              grid: { show: false },
            }),
            axis({
              size: 52,
              values: (_plot, splits) => splits.map((split) => formatTick(split, "")),
            }),
          ],
          scales: {
            x: { time: false },
            y: { range: (_plot, _min, max) => [0, Math.max((max ?? 0) * 1.12, 4)] },
          },
          series: [
            {},
            {
              label: "coincidences",
              stroke: () => cssColor("--accent"),
              fill: () => cssColor("--accent-soft"),
              width: 1.5,
              points: { show: false },
              ...(uPlot.paths.stepped === undefined
                ? {}
                : { paths: uPlot.paths.stepped({ align: 1 }) }),
            },
          ],
          hooks: { drawClear: [shadeWindow] },
        },
        [[], []],
        box,
      ),
  );
  return {
    root,
    show: ({ fromPs, binPs, counts, windowPs }) => {
      windowNs = windowPs / 1000;
      // A step is drawn from the left edge of its bin; the last edge repeats its count to close it.
      const edgesNs = Array.from(
        { length: counts.length + 1 },
        (_, index) => (fromPs + index * binPs) / 1000,
      );
      plot.setData([edgesNs, [...counts, counts.at(-1) ?? 0]]);
    },
  };
}
