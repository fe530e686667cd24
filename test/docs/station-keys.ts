/** The keys of a station file as Markdown tables, from the JSON Schema that editors use. */

/** The part of JSON Schema that the station's schema uses. */
export interface SchemaPart {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly properties?: Readonly<Record<string, SchemaPart>>;
  readonly additionalProperties?: SchemaPart | boolean;
  readonly items?: SchemaPart | boolean;
  readonly prefixItems?: readonly SchemaPart[];
  readonly required?: readonly string[];
  readonly anyOf?: readonly SchemaPart[];
  readonly oneOf?: readonly SchemaPart[];
  readonly allOf?: readonly SchemaPart[];
  readonly if?: SchemaPart;
  readonly then?: SchemaPart;
}

interface Row {
  readonly path: string;
  readonly part: SchemaPart;
  readonly isRequired: boolean;
}

/** Every key below a part, by its path; names that the user chooses stand in angle brackets. */
export function keysOf(part: SchemaPart, path = ""): readonly Row[] {
  const join = (key: string): string => (path === "" ? key : `${path}.${key}`);
  const named = Object.entries(part.properties ?? {}).flatMap(([key, child]) => [
    { path: join(key), part: child, isRequired: part.required?.includes(key) ?? false },
    ...keysOf(child, join(key)),
  ]);
  const { additionalProperties, items } = part;
  const byName =
    typeof additionalProperties === "object" ? keysOf(additionalProperties, join("<name>")) : [];
  const listed = typeof items === "object" ? keysOf(items, `${path}[]`) : [];
  const variants = [...(part.anyOf ?? []), ...(part.oneOf ?? [])].flatMap((variant) =>
    keysOf(variant, path),
  );
  const perDriver = (part.allOf ?? []).flatMap(({ if: condition, then }) => {
    const { driver } = condition?.properties ?? {};
    const { settings = {} } = then?.properties ?? {};
    return keysOf(settings, `${path}.settings(${String(driver?.const)})`);
  });
  const rows = [...named, ...byName, ...listed, ...variants, ...perDriver];
  return rows.filter((row, index) => rows.findIndex((other) => other.path === row.path) === index);
}

const code = (value: unknown): string => `\`${JSON.stringify(value).replaceAll('"', "")}\``;

function valuesOf(part: SchemaPart): string {
  if (part.const !== undefined) return code(part.const);
  if (part.enum !== undefined) return part.enum.map(code).join(", ");
  const variants = part.anyOf ?? part.oneOf;
  if (variants?.every((each) => each.const !== undefined)) {
    return variants.map(valuesOf).join(", ");
  }
  const { minimum, maximum, exclusiveMinimum: above, prefixItems } = part;
  if (prefixItems !== undefined) return `list of ${prefixItems.length}`;
  const isOpen = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER;
  const low = above === undefined ? minimum?.toString() : `above ${above}`;
  if (low === undefined && isOpen) return part.type ?? "group";
  return `${low ?? ""}${isOpen ? " and more" : ` … ${maximum}`}`;
}

function rowOf({ path, part, isRequired }: Row): string {
  const byDefault =
    part.default === undefined ? (isRequired ? "required" : "–") : code(part.default);
  const meaning = (part.description ?? "").replaceAll("|", "\\|").replaceAll("\n", " ");
  return `| \`${path}\` | ${valuesOf(part)} | ${byDefault} | ${meaning} |`;
}

/** Gives the tables, one for each key at the top. */
export function stationKeysTables(schema: SchemaPart): string {
  const rows = keysOf(schema);
  const tops = rows.filter(({ path }) => !path.includes("."));
  const tables = tops.map((top) => {
    const below = rows.filter(({ path }) => path.startsWith(`${top.path}.`));
    const head = "| key | values | default | meaning |\n| --- | --- | --- | --- |";
    return [`### \`${top.path}\``, "", head, ...[top, ...below].map(rowOf)].join("\n");
  });
  return tables.join("\n\n");
}
