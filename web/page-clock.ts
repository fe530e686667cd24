/** The page's time: the one place where it asks the browser. */

/** Seconds since 1970 by the browser's clock. */
export const nowS = (): number => Date.now() / 1000;

/** Calls `run` once after `delayMs`. */
export const after = (delayMs: number, run: () => void): void => {
  setTimeout(run, delayMs);
};

const twoDigits = (value: number): string => String(Math.floor(value)).padStart(2, "0");

/** Gives the local time of day, `10:31:05`. */
export function timeOfDay(secondsSince1970: number): string {
  const date = new Date(secondsSince1970 * 1000);
  return `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}:${twoDigits(date.getSeconds())}`;
}

/** Gives the local time of day of an ISO 8601 time, or the text itself when it is none. */
export function timeOfDayIso(iso: string): string {
  const milliseconds = Date.parse(iso);
  return Number.isNaN(milliseconds) ? iso : timeOfDay(milliseconds / 1000);
}

/** Gives the time between two ISO 8601 times as `0:05:12` or `3 d 04:05:12`; empty when one is malformed. */
export function elapsed(fromIso: string, toIso: string): string {
  const seconds = Math.max(0, (Date.parse(toIso) - Date.parse(fromIso)) / 1000);
  if (Number.isNaN(seconds)) return "";
  const days = Math.floor(seconds / 86_400);
  const clock = `${Math.floor(seconds / 3600) % 24}:${twoDigits((seconds / 60) % 60)}:${twoDigits(seconds % 60)}`;
  return days > 0 ? `${days} d ${clock}` : clock;
}
