-- Takes back 0002_business.sql, in the opposite order.
DROP VIEW IF EXISTS pgqueue.dead_by_organization, pgqueue.dead_by_kind, pgqueue.dead_by_error, pgqueue.all_jobs;
DROP TABLE pgqueue.merged_jobs;
ALTER TABLE pgqueue.dead_jobs DROP COLUMN limits, DROP COLUMN cost, ADD COLUMN concurrency_key text COLLATE "C";
ALTER TABLE pgqueue.jobs DROP COLUMN limits, DROP COLUMN cost, ADD COLUMN concurrency_key text COLLATE "C";
ALTER TABLE pgqueue.outbox DROP COLUMN unique_while, DROP COLUMN unique_period, DROP COLUMN on_conflict,
  DROP COLUMN limits, DROP COLUMN cost,
  ADD COLUMN concurrency_key text COLLATE "C" CONSTRAINT outbox_concurrency_key_length CHECK (length(concurrency_key) <= 200);
