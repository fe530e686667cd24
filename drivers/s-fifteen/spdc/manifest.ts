import { z } from "zod";
import type { DriverManifest } from "../../../hal/manifest.ts";
import { currentMaMax } from "./protocol.ts";

const spdcSettings = z.strictObject({
  currentMa: z
    .number()
    .min(0)
    .max(currentMaMax)
    .default(0)
    .describe("Pump current to which the source is armed when the node runs, in mA."),
  replyTimeoutMs: z
    .number()
    .min(50)
    .max(5_000)
    // The board itself takes milliseconds; a busy PC is what this waits for.
    .default(1_500)
    .describe("How long the board may take to answer, in ms."),
});

/** Settings as the driver gets them, defaults filled in. */
export type SpdcSettings = z.output<typeof spdcSettings>;

/** S-Fifteen SPDC source driver board: pump laser, crystal oven, laser peltier. The temperatures are left as they are. */
export const spdcManifest: DriverManifest = {
  id: "s-fifteen/spdc",
  title: "S-Fifteen SPDC photon-pair source",
  roles: ["pair-source"],
  links: ["serial", "tcp"],
  fingerprints: [{ usbManufacturer: "S-Fifteen Instruments", serialNumberPattern: /^SPDC/ }],
  settings: spdcSettings,
  baud: 9_600,
  open: async (context) => {
    const { openSpdc } = await import("./driver.ts");
    return await openSpdc(context, spdcSettings.parse(context.settings));
  },
};
