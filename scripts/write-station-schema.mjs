// Writes station.schema.json, which editors use to check and complete station files. Run it after a
// change to the station schema, a driver's settings or the mock lab's settings; a test tells when.
import { writeFileSync } from "node:fs";
import { format } from "node:util";
import { driverManifests } from "../dist/drivers/registry.js";
import { stationJsonSchema } from "../dist/hal/station/station-json-schema.js";
import { labSettingsSchema } from "../dist/mocks/physics/lab-settings.js";

const schema = stationJsonSchema({ manifests: driverManifests, mockSchema: labSettingsSchema });
const path = new URL("../station.schema.json", import.meta.url);
writeFileSync(path, `${JSON.stringify(schema, null, 2)}\n`);
process.stdout.write(format("wrote %s\n", path.pathname));
