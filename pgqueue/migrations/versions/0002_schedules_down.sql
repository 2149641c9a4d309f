-- Takes back 0002_schedules.sql. What the older table cannot hold goes.
DROP TABLE pgqueue.schedule_runs;
DROP INDEX pgqueue.schedules_due;
DELETE FROM pgqueue.schedules;
ALTER TABLE pgqueue.schedules
  DROP CONSTRAINT schedules_name_plain,
  DROP CONSTRAINT schedules_cron_or_every,
  DROP CONSTRAINT schedules_code_is_listed,
  DROP CONSTRAINT schedules_queue_plain,
  DROP CONSTRAINT schedules_kind_length,
  DROP CONSTRAINT schedules_args_object,
  ALTER COLUMN cron SET NOT NULL,
  DROP COLUMN every, DROP COLUMN payload_version, DROP COLUMN max_attempts, DROP COLUMN organization_id,
  DROP COLUMN user_id, DROP COLUMN options, DROP COLUMN missed, DROP COLUMN most, DROP COLUMN jitter,
  DROP COLUMN source, DROP COLUMN definition, DROP COLUMN superseded, DROP COLUMN listed_at, DROP COLUMN held_at,
  DROP COLUMN changed_at, DROP COLUMN paused_by, DROP COLUMN missed_runs, DROP COLUMN missed_at;
