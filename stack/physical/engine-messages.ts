import type { TagMemoryShare } from "../../hal/tags/tag-memory.ts";
import type { EngineSettings } from "./link-engine.ts";

/** What the physical worker is started with; it then takes `EngineInput`s and posts `EngineOutput`s. */
export interface PhysicalWorkerData {
  readonly settings: EngineSettings;
  readonly memory: TagMemoryShare;
}
