/** Runs one blind clock search and ends; its memory goes with it. */
import { parentPort, workerData } from "node:worker_threads";
import { type ClockSearchRequest, searchClock } from "./clock-search.ts";

parentPort?.postMessage(searchClock(workerData as ClockSearchRequest));
