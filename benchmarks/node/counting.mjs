// What counting.py does for workers in Python: jobs count themselves where the harness can look without asking.

import fs from "node:fs";
import path from "node:path";

const folder = process.env.BENCHMARK_FOLDER;
const bytes = Buffer.alloc(8);
let counter, pings;
let jobs = 0n;
let written = true;

// The first job of a process waits until all processes have one. The count is written once for all jobs of a turn.
export function done() {
  if (counter === undefined) begin();
  jobs += 1n;
  if (written) {
    written = false;
    setImmediate(write);
  }
}

export function started(number) {
  const now = Number(process.hrtime.bigint()) / 1e9;
  pings ??= fs.openSync(path.join(folder, "pings"), "w");
  const ping = Buffer.alloc(16);
  ping.writeBigInt64LE(BigInt(number), 0);
  ping.writeDoubleLE(now, 8);
  fs.writeSync(pings, ping);
}

function begin() {
  const file = path.join(folder, `${process.pid}.new`);
  counter = fs.openSync(file, "w");
  fs.writeSync(counter, bytes, 0, 8, 0);
  fs.renameSync(file, path.join(folder, `${process.pid}.count`));
  const still = new Int32Array(new SharedArrayBuffer(4));
  while (!fs.existsSync(path.join(folder, "gate"))) Atomics.wait(still, 0, 0, 1);
}

function write() {
  written = true;
  bytes.writeBigInt64LE(jobs);
  fs.writeSync(counter, bytes, 0, 8, 0);
}
