import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

/** What the project asks of itself and no linter knows. Each rule has a line that it must refuse. */

interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const trackedFiles: readonly string[] = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard"],
  { encoding: "utf8" },
)
  .split("\n")
  .filter((path) => path !== "" && existsSync(path));
const read = (path: string): SourceFile => ({ path, text: readFileSync(path, "utf8") });
const isKernel = (path: string): boolean => /(^|\/)kernels\/[^/]+\.ts$/.test(path);
const sources = trackedFiles.filter((path) => path.endsWith(".ts")).map(read);
const shipped = sources.filter(({ path }) =>
  /^(hal|drivers|stack|calibration|mocks|cli|web)\//.test(path),
);
const pages = trackedFiles.filter((path) => path.endsWith(".md")).map(read);

/** Gives "path:line: text" for each line that matches, comments left out unless asked for. */
function linesMatching(
  files: readonly SourceFile[],
  pattern: RegExp,
  options: { readonly inComments?: boolean } = {},
): string[] {
  return files.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, index) => {
      const looked = options.inComments
        ? line
        : line.replace(/^\s*(\*|\/\/|\/\*).*$|\s\/\/ .*$/, "");
      return pattern.test(looked) ? [`${path}:${index + 1}: ${line.trim()}`] : [];
    }),
  );
}
const except = (files: readonly SourceFile[], ...paths: readonly RegExp[]): SourceFile[] =>
  files.filter(({ path }) => !paths.some((pattern) => pattern.test(path)));
const sample = (text: string): SourceFile[] => [{ path: "hal/sample.ts", text }];

describe("time and chance", () => {
  const pattern =
    /\b(setTimeout|setInterval|setImmediate|Date\.now|new Date\(\)|performance\.now|Math\.random)\b/;

  test("come from Clock and RandomSource alone", () => {
    const files = except(
      shipped.filter(({ path }) => !isKernel(path)),
      /^hal\/(clock|random)\.ts$/,
      /^web\//,
    );
    expect(linesMatching(files, pattern)).toEqual([]);
  });
  test("the rule sees a timer", () => {
    expect(linesMatching(sample("  const t = setTimeout(run, 5);"), pattern)).toHaveLength(1);
  });
});

describe("the process", () => {
  const pattern = /\bprocess\.(argv|env|exit|stdout|stderr|exitCode)\b/;

  test("is touched by cli and by the entry points of child processes alone", () => {
    const files = except(shipped, /^cli\//, /-process\.ts$/, /^hal\/ports\/port-host\.ts$/);
    expect(linesMatching(files, pattern)).toEqual([]);
  });
  test("the rule sees an exit", () => {
    expect(linesMatching(sample("process.exit(1);"), pattern)).toHaveLength(1);
  });
});

describe("names", () => {
  const refusedName = /(^|[/-])(utils?|helpers?|common|misc|types|index|manager|stuff)\.ts$/;

  test("no file is called by a word that means nothing", () => {
    expect(
      trackedFiles.filter(
        (path) => refusedName.test(path) && !isKernel(path) && !/key-manager/.test(path),
      ),
    ).toEqual([]);
    expect(refusedName.test("hal/tag-utils.ts")).toBe(true);
  });

  const dimensioned =
    /\b\w*(window|delay|period|jitter|length|rate|current|offset|drift|timeout|loss|lifetime|duration)\w*\??: (z\s*\.\s*)?(number|int)\b/i;
  const unit =
    /\w*(Ps|Ns|Us|Ms|S|Hz|Db|DbPerKm|Dbm|Ppb|Km|Nm|Ma|V|C|Bytes|Bits|Tags|Blocks|Frames|Fwhm|Rms|Max|Min|Count|Ratio|Probability|Fraction|Bins|Index|errorRate)\??: /;

  test("a number with a dimension ends in its unit", () => {
    const files = shipped.filter(({ path }) => !isKernel(path) && !path.startsWith("web/"));
    const lines = linesMatching(files, dimensioned).filter((line) => !unit.test(line));
    expect(lines).toEqual([]);
  });
  test("the rule sees a bare window", () => {
    const lines = linesMatching(sample("  readonly window: number;"), dimensioned);
    expect(lines.filter((line) => !unit.test(line))).toHaveLength(1);
  });
});

describe("documentation", () => {
  const undocumented = ({ path, text }: SourceFile): string[] => {
    const lines = text.split("\n");
    return lines.flatMap((line, index) => {
      if (!/^export (async function|function|class|interface|abstract class)\b/.test(line))
        return [];
      const before = lines.slice(0, index).filter((previous) => !/^\s*\/\/ /.test(previous));
      const isOverload = /^export (async )?function/.test(before.at(-1) ?? "");
      return before.at(-1)?.trim().endsWith("*/") || isOverload
        ? []
        : [`${path}:${index + 1}: ${line}`];
    });
  };

  test("every exported function, class and interface has a comment", () => {
    expect(except(shipped, /^web\//).flatMap(undocumented)).toEqual([]);
  });
  test("the rule sees a bare export", () => {
    expect(undocumented({ path: "x.ts", text: "export function a() {}" })).toHaveLength(1);
  });

  const brokenLinks = ({ path, text }: SourceFile): string[] =>
    [...text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)]
      .map((match) => match[1] ?? "")
      .filter((target) => !/^(https?:|mailto:)/.test(target))
      .filter((target) => !existsSync(normalize(join(dirname(path), target))))
      .map((target) => `${path}: ${target}`);

  test("every link of a page leads somewhere", () => {
    expect(pages.length).toBeGreaterThan(3);
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });
  test("the rule sees a broken link", () => {
    expect(brokenLinks({ path: "README.md", text: "[a](docs/none.md)" })).toHaveLength(1);
  });
});

describe("drivers", () => {
  const vendors = existsSync("drivers")
    ? readdirSync("drivers", { withFileTypes: true }).filter((entry) => entry.isDirectory())
    : [];
  const models = vendors.flatMap((vendor) =>
    // What a vendor's models share stands beside them as files.
    readdirSync(join("drivers", vendor.name), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((model) => `${vendor.name}/${model.name}`),
  );

  test("there are some", () => expect(models.length).toBeGreaterThan(0));
  test.each(models)(
    "%s has manifest, protocol and driver, a line in the registry, and tests",
    (model) => {
      for (const file of ["manifest.ts", "protocol.ts", "driver.ts"]) {
        expect(existsSync(join("drivers", model, file)), `drivers/${model}/${file}`).toBe(true);
      }
      expect(readFileSync("drivers/registry.ts", "utf8")).toContain(`./${model}/manifest.ts`);
      expect(trackedFiles.some((path) => path.startsWith(`test/drivers/${model}`))).toBe(true);
    },
  );
  test.each(models)("%s imports no other vendor", (model) => {
    const [vendor = ""] = model.split("/");
    const files = sources.filter(({ path }) => path.startsWith(`drivers/${model}/`));
    const foreign = linesMatching(files, /from "(\.\.\/){2,}(?!hal\/|\.\.\/)/).filter(
      (line) => !line.includes(`/${vendor}/`) && !/from "(\.\.\/){3}hal\//.test(line),
    );
    expect(foreign).toEqual([]);
  });
});

describe("the tree", () => {
  test("no test is singled out, and none is skipped without a condition", () => {
    const tests = sources.filter(
      ({ path }) => path.startsWith("test/") && path !== "test/tidy.test.ts",
    );
    expect(linesMatching(tests, /\.(only|todo|skip|fails)\(/)).toEqual([]);
  });
  test("nothing unfinished is left in the source", () => {
    const unfinished = /\b(TODO|FIXME|XXX|HACK)\b|not implemented/i;
    expect(linesMatching(shipped, unfinished, { inComments: true })).toEqual([]);
    expect(linesMatching(sample("// TODO: later"), unfinished, { inComments: true })).toHaveLength(
      1,
    );
  });
  test("no secret of a machine or a registry stands in it", () => {
    const local = /\/(home|root|Users)\/\w|registry\.npm\w*\.org|localhost:\d{4,5}\/npm/;
    const files = trackedFiles
      .filter((path) => !/package-lock\.json$|\.(png|wasm|ptu|bin|ico)$|^test\/tidy/.test(path))
      .map(read);
    expect(linesMatching(files, local, { inComments: true })).toEqual([]);
  });
  test("a kernel has no heap and no growing memory", () => {
    const kernels = sources.filter(({ path }) => isKernel(path));
    expect(kernels.length).toBeGreaterThan(3);
    expect(linesMatching(kernels, /\bnew [A-Z]|\bheap\.|memory\.grow|new (Static)?Array/)).toEqual(
      [],
    );
  });
  test("lint suppressions are few and say why", () => {
    const suppressed = linesMatching(
      shipped,
      /biome-ignore|eslint-disable|@ts-expect-error|@ts-ignore/,
      {
        inComments: true,
      },
    ).filter((line) => !line.includes("/kernels/"));
    expect(suppressed.length).toBeLessThanOrEqual(12);
    expect(suppressed.filter((line) => !/: \w+.{8,}$/.test(line))).toEqual([]);
  });
});
