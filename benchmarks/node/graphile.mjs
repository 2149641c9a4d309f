// graphile-worker with the settings of the page on performance in its documentation. `graphile.mjs migrate` makes
// the tables and ends.

import { Logger, run, runMigrations } from "graphile-worker";

import { done, started } from "./counting.mjs";

const logger = new Logger(() => (level, message) => {
  if (level === "error" || level === "warning") console.error(message);
});
const preset = {
  worker: {
    connectionString: process.env.BENCHMARK_DATABASE,
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    logger,
  },
};

if (process.argv[2] === "migrate") {
  await runMigrations({ preset });
} else {
  const taskList = {
    noop: async () => done(),
    ping: async (payload) => started(payload.number),
  };
  const runner = await run({ preset, taskList });
  await runner.promise;
}
