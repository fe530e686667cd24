/** Builds elements from text and attributes only: no markup is ever parsed, so a device cannot name itself a script. */
import type { Quantity } from "./quantity.ts";

/** What an element starts with; `testId` becomes `data-testid`. */
export interface ElementOptions {
  readonly className?: string;
  readonly testId?: string;
  readonly text?: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Creates an element with children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  options: ElementOptions = {},
  children: readonly Node[] = [],
): HTMLElementTagNameMap[Tag] {
  const created = document.createElement(tag);
  if (options.className !== undefined) created.className = options.className;
  if (options.testId !== undefined) created.setAttribute("data-testid", options.testId);
  if (options.text !== undefined) created.textContent = options.text;
  for (const [name, value] of Object.entries(options.attributes ?? {})) {
    created.setAttribute(name, value);
  }
  created.append(...children);
  return created;
}

/** Sets text only when it differs, so that a screen reader and a selection are left in peace. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** A number on the page: figure, uncertainty and unit in their own sizes. */
export interface ValueView {
  readonly root: HTMLElement;
  /** `raw` is kept in `data-value` for whoever reads the page by program. */
  show(quantity: Quantity, raw: number | null): void;
}

/** Creates a number; `size` is a class of the style sheet. */
export function createValue(testId: string, size: string): ValueView {
  const figure = element("span", { className: "figure" });
  const uncertainty = element("span", { className: "uncertainty" });
  const unit = element("span", { className: "unit" });
  const root = element("span", { className: `value ${size}`, testId }, [figure, uncertainty, unit]);
  return {
    root,
    show: (quantity, raw) => {
      setText(figure, quantity.figure);
      setText(uncertainty, quantity.uncertainty === null ? "" : `(${quantity.uncertainty})`);
      setText(unit, quantity.unit);
      root.setAttribute("data-value", raw === null ? "" : String(raw));
    },
  };
}

/** Keeps one child a key, in the order of the items; children of items that went are removed. */
export function createKeyedList<Item, View extends { readonly root: HTMLElement }>(
  parent: HTMLElement,
  options: {
    readonly key: (item: Item) => string;
    readonly create: (item: Item) => View;
    readonly update: (view: View, item: Item) => void;
  },
): (items: readonly Item[]) => void {
  const views = new Map<string, View>();
  return (items) => {
    const wanted = new Set(items.map(options.key));
    for (const [key, view] of views) {
      if (wanted.has(key)) continue;
      view.root.remove();
      views.delete(key);
    }
    items.forEach((item, index) => {
      const key = options.key(item);
      const view = views.get(key) ?? options.create(item);
      views.set(key, view);
      if (parent.children[index] !== view.root) {
        parent.insertBefore(view.root, parent.children[index] ?? null);
      }
      options.update(view, item);
    });
  };
}
