import { createRequire } from "node:module";
import { pathToFileURL, type URL } from "node:url";

const require = createRequire(import.meta.url);

/**
 * Gives the URL of a built entry point for a worker or a child process, by its name in package.json
 * `imports`, such as `#hal/tags/ingest-worker`. It is always the one in dist/: Node 20 cannot load
 * TypeScript, and a file name beside the caller would differ between source and build.
 */
export const entryPointUrl = (name: `#${string}`): URL => pathToFileURL(require.resolve(name));
