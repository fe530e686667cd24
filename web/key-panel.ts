/** The keys of a link: rates over time, and one row a key. Fingerprints only; the page never sees key bytes. */
import type { LinkState } from "../cli/live-state.ts";
import { createRateChart } from "./charts.ts";
import { createKeyedList, createValue, element, setText } from "./elements.ts";
import { timeOfDayIso } from "./page-clock.ts";
import { quantityOf, rateStyle } from "./quantity.ts";
import { createTrend } from "./trend.ts";

type KeyState = LinkState["keys"][number];

/** The panel of one link. */
export interface KeyPanel {
  readonly root: HTMLElement;
  update(link: LinkState, atS: number): void;
}

const keysShownMax = 8;
const columnTitles = ["key", "fingerprint", "bits", "made", "both ends"];

/** Creates the panel. */
export function createKeyPanel(link: string): KeyPanel {
  const sifted = createValue(`sifted-rate-${link}`, "medium");
  const secret = createValue(`secret-rate-${link}`, "medium");
  const bits = createValue(`secret-bits-${link}`, "medium");
  const trend = createTrend(2);
  const chart = createRateChart(
    [
      { label: "sifted", color: "--sifted" },
      { label: "secret", color: "--secret" },
    ],
    "b/s",
  );
  const rows = element("tbody");
  const empty = element("p", { className: "hint empty", text: "No key yet." });
  const table = element("table", { className: "keys", testId: `keys-${link}` }, [
    element("caption", { text: "Keys, newest first", className: "visually-hidden" }),
    element("thead", {}, [
      element(
        "tr",
        {},
        columnTitles.map((text) => element("th", { text, attributes: { scope: "col" } })),
      ),
    ]),
    rows,
  ]);
  const showKeys = createKeyedList<KeyState, KeyRow>(rows, {
    key: (key) => key.keyId,
    create: () => createKeyRow(),
    update: (row, key) => row.update(key),
  });
  const root = element("div", { className: "key-panel" }, [
    element("div", { className: "key-rates" }, [
      element("div", { className: "stats three" }, [
        labelled("sifted key", "swatch sifted", sifted.root),
        labelled("secret key", "swatch secret", secret.root),
        labelled("secret bits so far", "", bits.root),
      ]),
      chart.root,
    ]),
    element("div", { className: "key-list" }, [table, empty]),
  ]);
  return {
    root,
    update: (state, atS) => {
      sifted.show(quantityOf(state.siftedRateHz, "b/s", rateStyle), state.siftedRateHz);
      secret.show(quantityOf(state.secretRateHz, "b/s", rateStyle), state.secretRateHz);
      bits.show(quantityOf(state.secretBits, "b", rateStyle), state.secretBits);
      trend.add(atS, [state.siftedRateHz, state.secretRateHz]);
      chart.setColumns(trend.columns());
      empty.hidden = state.keys.length > 0;
      showKeys(state.keys.slice(-keysShownMax).toReversed());
    },
  };
}

function labelled(text: string, swatch: string, value: HTMLElement): HTMLElement {
  const mark = element("span", { className: swatch, attributes: { "aria-hidden": "true" } });
  const label = element("span", { className: "label" }, [mark, document.createTextNode(text)]);
  return element("div", { className: "stat" }, [label, value]);
}

interface KeyRow {
  readonly root: HTMLElement;
  update(key: KeyState): void;
}

function createKeyRow(): KeyRow {
  const id = element("td", { className: "code" });
  const fingerprint = element("td", { className: "code" });
  const bits = element("td", { className: "number" });
  const at = element("td");
  const verdict = element("td");
  const root = element("tr", {}, [id, fingerprint, bits, at, verdict]);
  return {
    root,
    update: (key) => {
      setText(id, shortened(key.keyId));
      id.title = key.keyId;
      setText(fingerprint, shortened(key.fingerprint));
      fingerprint.title = key.fingerprint;
      setText(bits, String(key.bits));
      setText(at, timeOfDayIso(key.at));
      setText(verdict, key.identical ? "identical" : "DIFFERENT");
      verdict.className = key.identical ? "good" : "bad";
    },
  };
}

const shortened = (text: string): string => (text.length > 16 ? `${text.slice(0, 13)}…` : text);
