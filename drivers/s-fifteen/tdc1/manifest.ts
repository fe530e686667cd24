import { z } from "zod";
import type { DriverManifest } from "../../../hal/manifest.ts";

/** Settings of a TDC1 in a station file. */
const tdc1Settings = z.strictObject({
  threshold: z
    .enum(["nim", "ttl"])
    .default("nim")
    .describe("Preset of the inputs' threshold; thresholdV replaces it."),
  thresholdV: z
    .number()
    .min(-3.3)
    .max(3.3)
    .optional()
    .describe("Threshold of all inputs, in V; below zero it triggers on falling pulses."),
  reference: z
    .enum(["auto", "external", "internal"])
    .default("auto")
    .describe("The 10 MHz clock: external if there is one, always external, always internal."),
  flushIdleMs: z
    .number()
    .min(20)
    .max(1_000)
    .default(200)
    .describe(
      "After so long without a byte, in ms, the instrument is told to send a partial packet.",
    ),
});

/** Settings as the driver gets them, defaults filled in. */
export type Tdc1Settings = z.output<typeof tdc1Settings>;

/** S-Fifteen TDC1, time tagger with 4 inputs and 2 ns resolution. */
export const tdc1Manifest: DriverManifest = {
  id: "s-fifteen/tdc1",
  title: "S-Fifteen TDC1 time tagger",
  roles: ["time-tagger"],
  links: ["serial", "tcp"],
  fingerprints: [
    {
      usbManufacturer: "S-Fifteen Instruments",
      usbProduct: "USB Counter",
      serialNumberPattern: /^TDC1-/,
    },
  ],
  settings: tdc1Settings,
  inputs: 4,
  open: async (context) => {
    const { openTdc1 } = await import("./driver.ts");
    return await openTdc1(context, tdc1Settings.parse(context.settings));
  },
};
