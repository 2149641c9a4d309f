-- Run-time overrides: what people set from any machine, who did it and when.
ALTER TABLE pgqueue.queues
  ADD COLUMN workers_by text,
  ADD COLUMN workers_at timestamptz,
  ADD COLUMN resume_at timestamptz;
-- What a worker process is asked to do; it learns that with its next heartbeat.
ALTER TABLE pgqueue.workers
  ADD COLUMN asked text CONSTRAINT workers_asked_known CHECK (asked IN ('drain', 'restart')),
  ADD COLUMN asked_by text,
  ADD COLUMN asked_at timestamptz;
-- What holds for every host and not for one queue.
CREATE TABLE pgqueue.overrides (
  name text PRIMARY KEY CONSTRAINT overrides_name_known CHECK (name IN ('processes')),
  value integer NOT NULL CONSTRAINT overrides_value_positive CHECK (value > 0),
  set_by text NOT NULL,
  set_at timestamptz NOT NULL DEFAULT pgqueue.clock()
);
