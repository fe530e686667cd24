import { createHash } from "node:crypto";
import { z } from "zod";
import { LabError } from "../../../hal/errors.ts";
import { toeplitzInputBitsMax } from "./privacy-amplification.ts";

/** Settings of key distillation on one link; both ends need the same ones. */
export const keySettingsSchema = z.strictObject({
  /** Sifted bits of one block, test bits included. */
  blockBits: z.int().min(1_000).max(toeplitzInputBitsMax).default(50_000),
  /** Fraction of a block that is disclosed as the test sample, 0.01..0.9. */
  testFraction: z.number().min(0.01).max(0.9).default(0.2),
  /** A block whose test sample shows a higher error rate is dropped, 0..1. */
  qberMax: z.number().min(0.0025).max(0.11).default(0.09),
  /** Secrecy: trace distance of a key from one that is uniform and known to nobody else, a block; errors of blocks add up. */
  securityError: z.number().min(1e-30).max(1e-3).default(1e-9),
  /** Probability that the ends' keys differ, a block. */
  correctnessError: z.number().min(1e-30).max(1e-3).default(1e-12),
  bellState: z.enum(["phi+", "phi-", "psi+", "psi-"]).default("phi+"),
  /** A question without an answer is repeated after this time. */
  answerTimeoutMs: z.int().min(1).max(600_000).default(2_000),
  /** A block is given up after this many askings of one question. */
  attemptsMax: z.int().min(1).max(1_000).default(6),
  /** Sifted bits beyond this many blocks are discarded, oldest first. */
  backlogBlocksMax: z.int().min(2).max(1_000).default(8),
});

export type KeySettings = z.output<typeof keySettingsSchema>;

/**
 * Checks settings and fills in what is not given.
 * @throws LabError `key.settings`.
 */
export function parseKeySettings(input: z.input<typeof keySettingsSchema>): KeySettings {
  const parsed = keySettingsSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new LabError(
    "key.settings",
    `the key settings are not usable: ${z.prettifyError(parsed.error).replaceAll("\n", " ")}`,
    { details: { issues: parsed.error.issues.map((issue) => issue.message) } },
  );
}

/** Gives a short digest of what both ends must agree on. */
export const settingsDigest = (settings: KeySettings): string =>
  createHash("sha256")
    .update("bellwether key settings\0")
    .update(
      JSON.stringify([
        settings.blockBits,
        settings.testFraction,
        settings.qberMax,
        settings.securityError,
        settings.correctnessError,
        settings.bellState,
      ]),
    )
    .digest("hex")
    .slice(0, 16);
