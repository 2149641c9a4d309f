// pg-boss with what its documentation offers for throughput (batches, no pause while they are full) and for latency
// (NOTIFY). `pgboss.mjs produce` makes the tables, then enqueues what it is told, a line of JSON each; it answers each.

import readline from "node:readline";

import { PgBoss } from "pg-boss";

import { done, started } from "./counting.mjs";

const producing = process.argv[2] === "produce";
const boss = new PgBoss({
  connectionString: process.env.BENCHMARK_DATABASE,
  useListenNotify: !producing,
  supervise: producing,
  schedule: false,
});
boss.on("error", (error) => console.error(error));
await boss.start();

if (producing) {
  for (const name of ["noop", "ping"]) await boss.createQueue(name, { notify: true });
  console.log("ready");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const told = JSON.parse(line);
    if (told.many) {
      for (let start = 0; start < told.many.length; start += 1000) {
        const part = told.many.slice(start, start + 1000);
        await boss.insert("noop", part.map((data) => ({ data })));
      }
    }
    for (const data of told.each ?? []) await boss.send("noop", data);
    if (told.ping !== undefined) await boss.send("ping", { number: told.ping });
    console.log("done");
  }
  await boss.stop({ graceful: false });
} else {
  const batches = { batchSize: 5000, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5, localConcurrency: 2 };
  await boss.work("noop", batches, async (jobs) => {
    for (const _ of jobs) done();
  });
  await boss.work("ping", { pollingIntervalSeconds: 0.5 }, async ([job]) => started(job.data.number));
}
