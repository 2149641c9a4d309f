-- Schedules: what recurs, and the ledger of the ticks that became jobs. Nothing has read the table before this revision.
DELETE FROM pgqueue.schedules;
ALTER TABLE pgqueue.schedules
  ALTER COLUMN cron DROP NOT NULL,
  ADD COLUMN every interval,
  ADD COLUMN payload_version integer NOT NULL DEFAULT 1,
  ADD COLUMN max_attempts smallint,
  ADD COLUMN organization_id text COLLATE "C" NOT NULL,
  ADD COLUMN user_id text COLLATE "C" NOT NULL,
  -- What else an enqueue of this job writes into the outbox, by column.
  ADD COLUMN options jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN missed text NOT NULL DEFAULT 'once',
  ADD COLUMN most smallint NOT NULL DEFAULT 100,
  ADD COLUMN jitter interval NOT NULL DEFAULT '0',
  ADD COLUMN source text NOT NULL DEFAULT 'added',
  -- Entries of the code: a digest of what the code says, digests it said before, and when a living worker last had
  -- the entry, and exactly this one, in its code.
  ADD COLUMN definition text,
  ADD COLUMN superseded text[] NOT NULL DEFAULT '{}',
  ADD COLUMN listed_at timestamptz,
  ADD COLUMN held_at timestamptz,
  -- While next_run_at is NULL, the first tick after this moment is the next.
  ADD COLUMN changed_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  ADD COLUMN paused_by text,
  ADD COLUMN missed_runs bigint NOT NULL DEFAULT 0,
  ADD COLUMN missed_at timestamptz,
  ADD CONSTRAINT schedules_name_plain CHECK (name ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'),
  ADD CONSTRAINT schedules_cron_or_every CHECK ((cron IS NULL) <> (every IS NULL)),
  ADD CONSTRAINT schedules_every_sane CHECK (every BETWEEN interval '1 second' AND interval '3650 days'),
  ADD CONSTRAINT schedules_missed_known CHECK (missed IN ('skip', 'once', 'all')),
  ADD CONSTRAINT schedules_most_bounded CHECK (most BETWEEN 1 AND 1000),
  ADD CONSTRAINT schedules_jitter_sane CHECK (jitter BETWEEN interval '0' AND interval '1 day'),
  ADD CONSTRAINT schedules_source_known CHECK (source IN ('code', 'added')),
  ADD CONSTRAINT schedules_code_is_listed
    CHECK (source = 'added' OR (definition IS NOT NULL AND listed_at IS NOT NULL AND held_at IS NOT NULL)),
  -- The outbox must take what the entry makes: one bad entry would stop those that are due with it.
  ADD CONSTRAINT schedules_queue_plain CHECK (queue ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'),
  ADD CONSTRAINT schedules_kind_length CHECK (length(kind) BETWEEN 1 AND 200),
  ADD CONSTRAINT schedules_organization_length CHECK (length(organization_id) BETWEEN 1 AND 64),
  ADD CONSTRAINT schedules_user_length CHECK (length(user_id) BETWEEN 1 AND 64),
  ADD CONSTRAINT schedules_args_object CHECK (jsonb_typeof(args) = 'object' AND pg_column_size(args) <= 8388608),
  ADD CONSTRAINT schedules_options_object CHECK (jsonb_typeof(options) = 'object'),
  ADD CONSTRAINT schedules_max_attempts_bounded CHECK (max_attempts BETWEEN 1 AND 100),
  ADD CONSTRAINT schedules_payload_version_positive CHECK (payload_version > 0);
CREATE INDEX schedules_due ON pgqueue.schedules (next_run_at) WHERE paused_at IS NULL;

-- One row for each tick of each schedule that became a job: whatever resets next_run_at, no tick becomes two.
CREATE TABLE pgqueue.schedule_runs (
  schedule text COLLATE "C" NOT NULL,
  tick timestamptz NOT NULL,
  job_id bigint NOT NULL,
  fired_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  asked_by text,
  outcome text,
  PRIMARY KEY (schedule, tick)
);
CREATE INDEX schedule_runs_by_time ON pgqueue.schedule_runs (tick);
CREATE INDEX schedule_runs_open ON pgqueue.schedule_runs (job_id) WHERE outcome IS NULL;
