/** An estimate on a scale, with its error bar: the length of the line is two standard uncertainties. */
import type { Estimate } from "../cli/live-state.ts";
import { createValue, element } from "./elements.ts";
import { plainStyle, quantityOf } from "./quantity.ts";

/** A meter on the page. */
export interface EstimateMeter {
  readonly root: HTMLElement;
  show(estimate: Estimate | null): void;
}

/** What a meter shows: the scale, and what part of it is good. Fractions are 0..1. */
export interface MeterOptions {
  readonly label: string;
  readonly title: string;
  readonly testId: string;
  readonly min: number;
  readonly max: number;
  readonly goodFrom: number;
  readonly goodTo: number;
  /** `percent` multiplies by 100 for the eye alone. */
  readonly display: "fraction" | "percent";
}

/** Creates a meter. */
export function createEstimateMeter(options: MeterOptions): EstimateMeter {
  const { min, max } = options;
  const percentOf = (value: number): number =>
    Math.min(100, Math.max(0, (100 * (value - min)) / (max - min)));
  const value = createValue(options.testId, "medium");
  const good = element("span", { className: "meter-good" });
  good.style.left = `${percentOf(options.goodFrom)}%`;
  good.style.width = `${percentOf(options.goodTo) - percentOf(options.goodFrom)}%`;
  const bar = element("span", { className: "meter-bar" });
  const mark = element("span", { className: "meter-mark" });
  const track = element(
    "span",
    { className: "meter-track", attributes: { "aria-hidden": "true" } },
    [good, bar, mark],
  );
  const ends = element("span", { className: "meter-ends", attributes: { "aria-hidden": "true" } }, [
    element("span", { text: endLabel(min, options.display) }),
    element("span", { text: endLabel(max, options.display) }),
  ]);
  const label = element("span", {
    className: "label",
    text: options.label,
    attributes: { title: options.title },
  });
  const root = element("div", { className: "meter" }, [label, value.root, track, ends]);
  return {
    root,
    show: (estimate) => {
      root.setAttribute("data-known", String(estimate !== null));
      const factor = options.display === "percent" ? 100 : 1;
      const shown =
        estimate === null
          ? null
          : { value: estimate.value * factor, uncertainty: estimate.uncertainty * factor };
      value.show(
        quantityOf(shown, options.display === "percent" ? "%" : "", plainStyle),
        estimate?.value ?? null,
      );
      if (estimate === null) return;
      const from = percentOf(estimate.value - estimate.uncertainty);
      bar.style.left = `${from}%`;
      bar.style.width = `${percentOf(estimate.value + estimate.uncertainty) - from}%`;
      mark.style.left = `${percentOf(estimate.value)}%`;
    },
  };
}

const endLabel = (value: number, display: "fraction" | "percent"): string =>
  display === "percent" ? `${Math.round(value * 100)} %` : String(value);
