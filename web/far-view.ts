/** The numbers that matter while hands are on a mount, large enough for the other end of the lab. */
import type { LiveState, NodeState } from "../cli/live-state.ts";
import { createKeyedList, createValue, element, setText, type ValueView } from "./elements.ts";
import { plainStyle, quantityOf, rateStyle } from "./quantity.ts";

/** The full-screen view of the first link and all nodes. */
export interface FarView {
  readonly root: HTMLElement;
  update(state: LiveState): void;
  /** Says whether the numbers are of now. */
  showConnection(text: string): void;
}

/** Creates the view; `onLeave` is called by its button. */
export function createFarView(onLeave: () => void): FarView {
  const title = element("h2", { className: "far-title" });
  const badge = element("p", { className: "badge far-badge", testId: "far-connection" });
  const coincidences = createValue("far-coincidences", "giant");
  const qber = createValue("far-qber", "far-small");
  const car = createValue("far-car", "far-small");
  const singles = element("div", { className: "far-singles" });
  const leave = element("button", { className: "button far-leave", text: "Back (Esc)" });
  leave.type = "button";
  leave.addEventListener("click", onLeave);
  const showNodes = createKeyedList<NodeState, FarNode>(singles, {
    key: (node) => node.name,
    create: (node) => createFarNode(node.name),
    update: (view, node) => view.update(node),
  });
  const root = element(
    "section",
    { className: "far", attributes: { "aria-label": "Across the lab" } },
    [
      element("div", { className: "far-head" }, [title, badge, leave]),
      element("div", { className: "far-main" }, [coincidences.root]),
      element("div", { className: "far-foot" }, [
        singles,
        stat("QBER", qber.root),
        stat("CAR", car.root),
      ]),
    ],
  );
  return {
    root,
    showConnection: (text) => setText(badge, text),
    update: ({ links, nodes }) => {
      const [link] = links;
      setText(title, link === undefined ? "No link" : `Coincidences ${link.ends.join(" – ")}`);
      const rate = link?.coincidenceRateHz ?? null;
      coincidences.show(quantityOf(rate, "/s", rateStyle), rate?.value ?? null);
      const error = link?.qber ?? null;
      qber.show(
        quantityOf(
          error === null
            ? null
            : { value: error.value * 100, uncertainty: error.uncertainty * 100 },
          "%",
          plainStyle,
        ),
        error?.value ?? null,
      );
      const ratio = link?.car ?? null;
      car.show(quantityOf(ratio, "", plainStyle), ratio?.value ?? null);
      showNodes(nodes);
    },
  };
}

interface FarNode {
  readonly root: HTMLElement;
  update(node: NodeState): void;
}

function createFarNode(name: string): FarNode {
  const value = createValue(`far-singles-${name}`, "far-small");
  return {
    root: stat(`singles ${name}`, value.root),
    update: ({ detectors }) => {
      const known = detectors.flatMap(({ singlesRateHz }) =>
        singlesRateHz === null ? [] : [singlesRateHz],
      );
      const sum = known.reduce((total, rate) => total + rate.value, 0);
      const uncertainty = Math.hypot(...known.map((rate) => rate.uncertainty));
      const total = known.length === 0 ? null : { value: sum, uncertainty };
      value.show(quantityOf(total, "/s", rateStyle), total?.value ?? null);
    },
  };
}

const stat = (label: string, value: ValueView["root"]): HTMLElement =>
  element("div", { className: "stat" }, [
    element("span", { className: "label", text: label }),
    value,
  ]);
