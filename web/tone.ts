/** A tone that rises with the coincidence rate, so that a person can turn a screw and look at it. */

const lowestHz = 110;
const highestHz = 3_520;
const glideS = 0.08;

/**
 * Gives the pitch of a rate: one octave a decade from 110 Hz at 1 /s, so that a tenth more light is
 * half a semitone at every rate. Below 1 /s it stays at the lowest pitch.
 */
export const toneFrequencyHz = (rateHz: number): number =>
  Math.min(highestHz, lowestHz * 2 ** Math.log10(Math.max(rateHz, 1)));

/** The tone: silent until switched on by the user, as browsers demand. */
export interface Tone {
  setOn(isOn: boolean): void;
  /** Loudness, 0..1. */
  setVolume(volume: number): void;
  /** Null (nothing known, or no connection) is silence. */
  follow(rateHz: number | null): void;
}

/** Creates a tone that is off. */
export function createTone(): Tone {
  let sound: { context: AudioContext; oscillator: OscillatorNode; gain: GainNode } | undefined;
  let isOn = false;
  let volume = 0.3;
  let rateHz: number | null = null;

  const apply = (): void => {
    if (sound === undefined) return;
    const { context, oscillator, gain } = sound;
    const loudness = isOn && rateHz !== null ? volume ** 2 : 0;
    gain.gain.setTargetAtTime(loudness, context.currentTime, glideS);
    if (rateHz === null) return;
    oscillator.frequency.setTargetAtTime(toneFrequencyHz(rateHz), context.currentTime, glideS);
  };
  const start = (): void => {
    const context = new AudioContext();
    const oscillator = new OscillatorNode(context, { type: "triangle", frequency: lowestHz });
    const gain = new GainNode(context, { gain: 0 });
    oscillator.connect(gain).connect(context.destination);
    oscillator.start();
    sound = { context, oscillator, gain };
  };
  return {
    setOn: (next) => {
      isOn = next;
      if (isOn && sound === undefined) start();
      apply();
    },
    setVolume: (next) => {
      volume = next;
      apply();
    },
    follow: (next) => {
      rateHz = next;
      apply();
    },
  };
}
