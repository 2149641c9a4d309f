-- Takes back 0002_unique.sql, in the opposite order.
DROP VIEW IF EXISTS pgqueue.dead_by_organization, pgqueue.dead_by_kind, pgqueue.dead_by_error, pgqueue.all_jobs;
DROP TABLE pgqueue.locks;
DROP SEQUENCE pgqueue.lock_fences;
DROP TABLE pgqueue.once_keys;
DROP TABLE pgqueue.unique_periods;
ALTER TABLE pgqueue.merged_jobs
  DROP COLUMN enqueued_at, DROP COLUMN trace_id, DROP COLUMN correlation_id, DROP COLUMN user_id,
  DROP COLUMN organization_id, DROP COLUMN payload_version, DROP COLUMN kind, DROP COLUMN queue;
-- What was held behind another job goes on without it.
UPDATE pgqueue.jobs SET hold = NULL, run_at = coalesce(not_before, pgqueue.clock()) WHERE hold >= 'unique:' AND hold < 'unique;';
ALTER TABLE pgqueue.jobs DROP COLUMN not_before;
ALTER TABLE pgqueue.outbox
  DROP CONSTRAINT outbox_unique_period_keeps_the_first, DROP CONSTRAINT outbox_unique_period_has_length,
  DROP CONSTRAINT outbox_unique_needs_hash, DROP CONSTRAINT outbox_on_conflict_known, DROP COLUMN unique_max_wait;
UPDATE pgqueue.outbox SET on_conflict = 'replace' WHERE on_conflict = 'replace_args';
ALTER TABLE pgqueue.outbox ADD CONSTRAINT outbox_on_conflict_known CHECK (on_conflict IN ('skip', 'replace'));
