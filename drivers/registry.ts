import type { DriverManifest } from "../hal/manifest.ts";
import { spdcManifest } from "./s-fifteen/spdc/manifest.ts";
import { tdc1Manifest } from "./s-fifteen/tdc1/manifest.ts";

const manifests: readonly DriverManifest[] = [tdc1Manifest, spdcManifest];

/** All drivers, by the id that a station file uses. */
export const driverManifests: ReadonlyMap<string, DriverManifest> = new Map(
  manifests.map((manifest) => [manifest.id, manifest]),
);
