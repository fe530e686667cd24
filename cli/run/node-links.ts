import { LabError } from "../../hal/errors.ts";
import type { Station, StationLink, StationNode } from "../../hal/station/station-schema.ts";
import { type KeySettings, parseKeySettings } from "../../stack/application/qkd/key-settings.ts";
import type { NodeLink } from "../../stack/node.ts";
import type { DetectorWiring } from "../../stack/physical/detector-wiring.ts";
import type { StationChannels } from "./link-channels.ts";

/** Gives the links of a station that end at a node, as the node needs them. @throws LabError `station.wiring`, `key.settings`. */
export function nodeLinks(
  station: Station,
  node: StationNode,
  channels: StationChannels,
): NodeLink[] {
  return [...station.links.values()]
    .filter(({ ends }) => ends.includes(node.name))
    .map((link) => {
      const [announcer, matcher] = link.ends;
      const isAnnouncer = announcer === node.name;
      return {
        name: link.name,
        peer: isAnnouncer ? matcher : announcer,
        role: isAnnouncer ? "announcer" : "matcher",
        ...taggerOf(station, node, link),
        channel: channels.at(link.name, node.name),
        settings: {
          coincidenceWindowPs: link.coincidenceWindowPs,
          offsetMaxMs: link.clock.offsetMaxMs,
          driftMaxPpb: link.clock.driftMaxPpb,
        },
        key: keySettings(link),
      };
    });
}

const keySettings = ({ key, bellState }: StationLink): KeySettings | null =>
  key === undefined ? null : parseKeySettings({ ...key, bellState });

/** All detectors of a node see one link's photons, and one tagger times them. */
function taggerOf(
  { path }: Station,
  node: StationNode,
  link: StationLink,
): { readonly tagger: string; readonly wiring: DetectorWiring } {
  const detectors = [...node.detectors.values()];
  const [tagger, ...others] = new Set(detectors.map((detector) => detector.tagger));
  if (tagger === undefined || others.length > 0) {
    throw new LabError(
      "station.wiring",
      `${path}: link ${link.name} needs the detectors of ${node.name} on one time tagger; wire them to one`,
      { details: { link: link.name, node: node.name } },
    );
  }
  return {
    tagger,
    wiring: {
      detectors: detectors.map(({ name, channel, basis, outcome, delayPs }) => ({
        ...{ name, channel, outcome, delayPs },
        basis: basis === "z" ? 0 : 1,
      })),
    },
  };
}
