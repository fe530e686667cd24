// npm runs this after `npm ci` and before packing. Without the development tools (npm ci --omit=dev)
// there is nothing to build with, and a packed package brings its own dist.
import { existsSync } from "node:fs";

if (existsSync(new URL("../node_modules/assemblyscript", import.meta.url))) {
  await import("./build.mjs");
} else {
  process.stdout.write("bellwether: development tools absent, build skipped\n");
}
