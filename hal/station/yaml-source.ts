import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  type ParsedNode,
  parseDocument,
  type YAMLMap,
} from "yaml";
import type { LabErrorCode } from "../errors.ts";
import type { StationProblem } from "./station-problem.ts";

/** Where a value is, from the root: keys and indices. */
export type ValuePath = readonly (string | number)[];

/** A YAML text as plain values that know their lines. */
export interface YamlSource {
  /** Objects, arrays, strings, numbers, booleans, null; undefined when the text is no YAML at all. */
  readonly value: unknown;
  readonly problems: readonly StationProblem[];
  /** Builds a problem at the value of `path`, or at its nearest ancestor that is written. */
  problemAt(path: ValuePath, code: LabErrorCode, message: string): StationProblem;
  /** Builds a problem at the key of `path` itself. */
  problemAtKey(path: ValuePath, code: LabErrorCode, message: string): StationProblem;
  /** Gives the line of the key of `path`, from 1. */
  lineOf(path: ValuePath): number;
}

/** Values in a file once its aliases are written out; what is beyond is a mistake or an attack. */
const valuesMax = 20_000;
const depthMax = 32;

interface Place {
  readonly keyAt: number;
  readonly valueAt: number;
}

/** JSON of a path tells `["a","1"]` from `["a",1]` and needs no escaping of its own. */
const placeKey = (path: ValuePath): string => JSON.stringify(path);

/**
 * Parses YAML 1.2 text. Duplicate keys, cyclic aliases and texts that grow without bound when their
 * aliases are written out are problems like any other, each with its place.
 */
export function parseYaml(text: string, file: string): YamlSource {
  const lineCounter = new LineCounter();
  const places = new Map<string, Place>();
  const problems: StationProblem[] = [];
  const problemAtOffset = (at: number, code: LabErrorCode, message: string): StationProblem => {
    const { line, col } = lineCounter.linePos(at);
    return { code, file, line: Math.max(1, line), column: Math.max(1, col), message };
  };
  const placeOf = (path: ValuePath): Place => {
    for (let length = path.length; length > 0; length--) {
      const place = places.get(placeKey(path.slice(0, length)));
      // Below the value that is asked for, the key of what encloses it is the better place.
      if (place !== undefined) {
        return length === path.length ? place : { keyAt: place.keyAt, valueAt: place.keyAt };
      }
    }
    return { keyAt: 0, valueAt: 0 };
  };
  const report = (at: number, code: LabErrorCode, message: string): void => {
    problems.push(problemAtOffset(at, code, message));
  };
  return {
    value: readText(text, lineCounter, places, report),
    problems,
    problemAt: (path, code, message) => problemAtOffset(placeOf(path).valueAt, code, message),
    problemAtKey: (path, code, message) => problemAtOffset(placeOf(path).keyAt, code, message),
    lineOf: (path) => lineCounter.linePos(placeOf(path).keyAt).line,
  };
}

type Report = (at: number, code: LabErrorCode, message: string) => void;

function readText(
  text: string,
  lineCounter: LineCounter,
  places: Map<string, Place>,
  report: Report,
): unknown {
  let document: Document.Parsed;
  try {
    document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false });
  } catch {
    // The parser recurses; only a text nested thousands of levels deep makes it fail.
    report(
      0,
      "station.not-yaml",
      `this is nested more than ${depthMax} levels deep; no station is`,
    );
    return undefined;
  }
  for (const error of document.errors) {
    report(error.pos[0], "station.not-yaml", `${error.message}; correct the YAML here`);
  }
  if (document.errors.length > 0) return undefined;
  const reader = new ValueReader(document, places, report);
  return document.contents === null ? null : reader.read(document.contents, [], []);
}

class ValueReader {
  readonly #document: Document.Parsed;
  readonly #places: Map<string, Place>;
  readonly #report: Report;
  #values = 0;

  constructor(document: Document.Parsed, places: Map<string, Place>, report: Report) {
    this.#document = document;
    this.#places = places;
    this.#report = report;
  }

  /** Gives the plain value of a node; `enclosing` are the nodes that it is inside of. */
  read(node: unknown, path: ValuePath, enclosing: readonly unknown[]): unknown {
    const at = offsetOf(node);
    this.#values++;
    if (this.#values > valuesMax || enclosing.length > depthMax) {
      if (this.#values <= valuesMax + 1) {
        this.#values = valuesMax + 1;
        this.#report(
          at,
          "station.too-large",
          `this grows beyond ${valuesMax} values or ${depthMax} levels when its aliases are written out; write less`,
        );
      }
      return null;
    }
    if (isAlias(node)) return this.#readAlias(node, path, enclosing);
    if (isMap(node)) return this.#readMap(node, path, [...enclosing, node]);
    if (isSeq(node)) {
      const inside = [...enclosing, node];
      return node.items.map((item, index) => {
        const itemPath = [...path, index];
        this.#places.set(placeKey(itemPath), { keyAt: offsetOf(item), valueAt: offsetOf(item) });
        return this.read(item, itemPath, inside);
      });
    }
    return isScalar(node) ? node.value : null;
  }

  #readAlias(
    node: { readonly source: string; resolve(document: Document.Parsed): unknown },
    path: ValuePath,
    enclosing: readonly unknown[],
  ): unknown {
    const target = node.resolve(this.#document);
    const isCyclic = enclosing.includes(target);
    if (target !== undefined && !isCyclic) return this.read(target, path, enclosing);
    this.#report(
      offsetOf(node),
      "station.alias",
      isCyclic
        ? `*${node.source} stands inside what it repeats; write the value out`
        : `*${node.source} repeats nothing: there is no &${node.source} before it`,
    );
    return null;
  }

  #readMap(map: YAMLMap, path: ValuePath, inside: readonly unknown[]): unknown {
    const value: Record<string, unknown> = Object.create(null);
    for (const pair of map.items as Pair<ParsedNode, ParsedNode | null>[]) {
      const keyAt = offsetOf(pair.key);
      if (!isScalar(pair.key)) {
        this.#report(keyAt, "station.not-yaml", "a key is a plain word; correct the YAML here");
        continue;
      }
      const key = String(pair.key.value);
      const keyPath = [...path, key];
      if (Object.hasOwn(value, key)) {
        this.#reportDuplicate(keyAt, keyPath);
        continue;
      }
      this.#places.set(placeKey(keyPath), {
        keyAt,
        valueAt: pair.value === null ? keyAt : offsetOf(pair.value),
      });
      value[key] = pair.value === null ? null : this.read(pair.value, keyPath, inside);
    }
    return value;
  }

  #reportDuplicate(at: number, path: ValuePath): void {
    const [top, node, section] = path;
    const key = String(path.at(-1));
    if (top === "nodes" && section === "devices" && path.length === 4) {
      const message = `node ${node} has a second device called "${key}"; give it another name`;
      this.#report(at, "station.duplicate-device", message);
    } else {
      this.#report(at, "station.duplicate-key", `"${key}" stands here twice; remove one of them`);
    }
  }
}

function offsetOf(node: unknown): number {
  const range =
    typeof node === "object" && node !== null && "range" in node ? node.range : undefined;
  return Array.isArray(range) && typeof range[0] === "number" ? range[0] : 0;
}
