-- The tables and columns of revision 0002. Functions and views live in the chapters pgqueue/sql/*.sql.

-- Views are installed anew behind this file: OR REPLACE cannot change which columns they have.
DROP VIEW IF EXISTS pgqueue.dead_by_organization, pgqueue.dead_by_kind, pgqueue.dead_by_error, pgqueue.all_jobs;

-- Uniqueness: what the relay has to know of a job that is merged with another one of the same hash.
ALTER TABLE pgqueue.outbox
  ADD COLUMN unique_while text CONSTRAINT outbox_unique_while_known CHECK (unique_while IN ('waiting', 'live', 'period')),
  ADD COLUMN unique_period interval CONSTRAINT outbox_unique_period_sane CHECK (unique_period BETWEEN interval '1 second' AND interval '3650 days'),
  ADD COLUMN on_conflict text CONSTRAINT outbox_on_conflict_known CHECK (on_conflict IN ('skip', 'replace')),
  -- Limits: the keys that a job counts against, at most one each of key, kind and queue.
  ADD COLUMN limits text[] CONSTRAINT outbox_limits_few CHECK (cardinality(limits) BETWEEN 1 AND 3),
  -- Fairness: how many ordinary jobs this one weighs.
  ADD COLUMN cost smallint CONSTRAINT outbox_cost_positive CHECK (cost BETWEEN 1 AND 1000),
  DROP COLUMN concurrency_key;
ALTER TABLE pgqueue.jobs
  ADD COLUMN limits text[] CONSTRAINT jobs_limits_few CHECK (cardinality(limits) BETWEEN 1 AND 3),
  ADD COLUMN cost smallint CONSTRAINT jobs_cost_positive CHECK (cost BETWEEN 1 AND 1000),
  DROP COLUMN concurrency_key;
ALTER TABLE pgqueue.dead_jobs
  ADD COLUMN limits text[],
  ADD COLUMN cost smallint,
  DROP COLUMN concurrency_key;

-- A merged job has no row of its own; its id still leads to the one that does its work.
CREATE TABLE pgqueue.merged_jobs (
  id bigint PRIMARY KEY,
  survivor bigint NOT NULL,
  merged_at timestamptz NOT NULL DEFAULT pgqueue.clock()
);
CREATE INDEX merged_jobs_by_time ON pgqueue.merged_jobs (merged_at);
