import type { z } from "zod";
import type { LabErrorCode } from "../errors.ts";
import { isLabError } from "../errors.ts";
import { parsePs } from "../units.ts";
import { adviceFor, type StationProblem, unitOfKey } from "./station-problem.ts";
import type { ValuePath, YamlSource } from "./yaml-source.ts";

/** An issue of a zod schema, as much of it as is read here. */
type Issue = z.core.$ZodIssue;

/** Parts of a schema's definition that lead from a value to the values inside it. */
interface SchemaShape {
  readonly def: {
    readonly type: string;
    readonly innerType?: SchemaShape;
    readonly valueType?: SchemaShape;
    readonly element?: SchemaShape;
    readonly in?: SchemaShape;
    readonly options?: readonly SchemaShape[];
    readonly shape?: Readonly<Record<string, SchemaShape>>;
  };
}

/** Wrappers in a schema, one inside the other, at most. */
const wrappersMax = 16;

function unwrap(schema: SchemaShape): SchemaShape {
  let inner = schema;
  for (let wrapper = 0; wrapper < wrappersMax; wrapper++) {
    const next = inner.def.innerType ?? inner.def.in;
    if (next === undefined) break;
    inner = next;
  }
  return inner;
}

/** Gives the keys that may stand at `path` of a value of the schema. */
export function keysAt(schema: z.ZodType, path: ValuePath): string[] {
  let schemas: SchemaShape[] = [unwrap(schema as unknown as SchemaShape)];
  const alternatives = (): SchemaShape[] =>
    schemas.flatMap((each) => each.def.options?.map(unwrap) ?? [each]);
  for (const key of path) {
    schemas = alternatives().flatMap((each) => {
      const next = each.def.shape?.[key] ?? each.def.valueType ?? each.def.element;
      return next === undefined ? [] : [unwrap(next)];
    });
  }
  return [...new Set(alternatives().flatMap((each) => Object.keys(each.def.shape ?? {})))];
}

/**
 * Turns what a schema refused into problems with their places. `at` is where the value that was parsed
 * stands in the file.
 */
export function problemsFromSchema(
  error: z.ZodError,
  schema: z.ZodType,
  source: YamlSource,
  at: ValuePath,
): StationProblem[] {
  return error.issues.flatMap((issue) => {
    const inside = issue.path.filter((step) => typeof step !== "symbol");
    const path = [...at, ...inside];
    if (issue.code === "unrecognized_keys") {
      const known = keysAt(schema, inside).filter((key) => !issue.keys.includes(key));
      return issue.keys.map((key) =>
        source.problemAtKey(
          [...path, key],
          "station.unknown-key",
          `unknown key "${key}" in ${nameOf(path)}; ${adviceFor(key, known)}`,
        ),
      );
    }
    if (issue.code === "invalid_key") {
      const message = `"${path.at(-1)}" cannot be a name here; use lower-case letters, digits and dashes, a letter first`;
      return [source.problemAtKey(path, "station.bad-name", message)];
    }
    if (!hasValue(source.value, path)) {
      const message = `${nameOf(path.slice(0, -1))} has no ${path.at(-1)}; write it (${wanted(issue)})`;
      return [source.problemAtKey(path.slice(0, -1), "station.missing-key", message)];
    }
    const { code, message } = describe(issue, path);
    return [source.problemAt(path, code, message)];
  });
}

/** Gives a path as people say it: `nodes.alice.devices.tagger`. */
export const nameOf = (path: ValuePath): string =>
  path.length === 0 ? "a station" : path.join(".");

function hasValue(value: unknown, path: ValuePath): boolean {
  let inner = value;
  for (const key of path) {
    if (typeof inner !== "object" || inner === null || !(key in inner)) return false;
    inner = (inner as Record<string | number, unknown>)[key];
  }
  return true;
}

function describe(
  issue: Issue,
  path: ValuePath,
): { readonly code: LabErrorCode; readonly message: string } {
  const key = String(path.at(-1) ?? "the file");
  const given = "input" in issue ? issue.input : undefined;
  switch (issue.code) {
    case "too_big":
    case "too_small": {
      const unit = unitOfKey(key);
      const isNumber = typeof given === "number";
      const value = isNumber ? `${key} ${given}` : key;
      return {
        code: isNumber ? "station.out-of-range" : "station.wrong-length",
        message: `${value} is out of range: it has to be ${wanted(issue)}${isNumber && unit !== null ? ` ${unit}` : ""}`,
      };
    }
    case "invalid_type":
      return { code: "station.wrong-type", message: typeMessage(key, given, wanted(issue)) };
    case "custom":
      return { code: "station.contradiction", message: issue.message };
    default:
      return {
        code: "station.wrong-value",
        message: `${key} cannot be ${printed(given)}: it has to be ${wanted(issue)}`,
      };
  }
}

/** Numbers with a unit are a frequent slip, and the right number can be said. */
function typeMessage(key: string, given: unknown, wantedValue: string): string {
  const unit = unitOfKey(key);
  const isQuantity = typeof given === "string" && /^[+-]?[\d.]+\s*[a-zA-Zµ%]+$/.test(given.trim());
  if (!isQuantity || unit === null) {
    return `${key} cannot be ${printed(given)}: it has to be ${wantedValue}`;
  }
  const advice = unit === "ps" ? psAdvice(key, given) : `write a bare number in ${unit}`;
  return `${key} has its unit (${unit}) in its name; ${advice}`;
}

function psAdvice(key: string, given: string): string {
  try {
    return `write ${key}: ${parsePs(given)}`;
  } catch (error) {
    if (!isLabError(error, "units")) throw error;
    return "write a bare number in ps";
  }
}

const printed = (value: unknown): string => {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "a group of keys";
  return typeof value === "string" ? `"${value}"` : String(value);
};

const typeNames: ReadonlyMap<string, string> = new Map([
  ["int", "a whole number"],
  ["number", "a number"],
  ["string", "a text"],
  ["boolean", "true or false"],
  ["record", "a group of keys"],
  ["object", "a group of keys"],
  ["array", "a list"],
  ["tuple", "a list"],
]);

/** Says what a schema wants where it refused something. */
function wanted(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return typeNames.get(issue.expected) ?? issue.expected;
    case "invalid_value":
      return issue.values.map(String).join(" or ");
    case "too_big":
      return `at most ${issue.maximum}${unitOfCount(issue.origin)}`;
    case "too_small":
      return `${issue.inclusive === false ? "above" : "at least"} ${issue.minimum}${unitOfCount(issue.origin)}`;
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "invalid_format":
      return "written otherwise; see the schema's description";
    case "invalid_union":
      return wantedOfUnion(issue);
    default:
      return issue.message;
  }
}

function wantedOfUnion(issue: Issue & { readonly code: "invalid_union" }): string {
  if ("options" in issue && Array.isArray(issue.options)) return issue.options.join(" or ");
  const options = issue.errors.flatMap((errors) => errors.slice(0, 1).map(wanted));
  return [...new Set(options)].join(" or ");
}

const unitOfCount = (origin: string): string => {
  if (origin === "array") return " items";
  return origin === "string" ? " characters" : "";
};
