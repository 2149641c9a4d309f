-- The tables of revision 0001. Frozen: a later change is a later revision.
-- Functions are not here: they live in the chapters pgqueue/sql/*.sql and are installed from there.

CREATE SEQUENCE pgqueue.job_ids AS bigint CACHE 1;

-- Sequences as clocks without row versions: setval makes no dead rows, so an old snapshot cannot bloat them.
CREATE SEQUENCE pgqueue.outbox_mark_single MINVALUE 0 START 0;
CREATE SEQUENCE pgqueue.outbox_mark_bulk MINVALUE 0 START 0;
CREATE SEQUENCE pgqueue.promote_mark MINVALUE 0 START 0;
CREATE SEQUENCE pgqueue.turn_relay MINVALUE 0 START 0;
CREATE SEQUENCE pgqueue.turn_upkeep MINVALUE 0 START 0;

CREATE FUNCTION pgqueue.clock() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- Which schema is this? Workers compare it with what they were built for.
CREATE TABLE pgqueue.stamp (
  version integer NOT NULL,
  least_worker integer NOT NULL,
  one boolean PRIMARY KEY DEFAULT true CONSTRAINT stamp_is_one_row CHECK (one)
);

-- Rows that are only locked, never changed.
CREATE TABLE pgqueue.turns (name text PRIMARY KEY);
INSERT INTO pgqueue.turns (name) VALUES ('relay'), ('upkeep');

CREATE TABLE pgqueue.queues (
  name text COLLATE "C" PRIMARY KEY
    CONSTRAINT queues_name_plain CHECK (name ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'),
  number integer GENERATED ALWAYS AS IDENTITY,
  "order" text NOT NULL DEFAULT 'fifo' CONSTRAINT queues_order_known CHECK ("order" IN ('fifo', 'fair')),
  workers integer CONSTRAINT queues_workers_positive CHECK (workers > 0),
  paused_at timestamptz,
  paused_by text,
  created_at timestamptz NOT NULL DEFAULT pgqueue.clock()
);

-- One row per queue and lane names its two sequences: head = highest position given,
-- mark = V, the first position that may still be unclaimed.
CREATE TABLE pgqueue.marks (
  queue text COLLATE "C" NOT NULL REFERENCES pgqueue.queues (name),
  lane smallint NOT NULL,
  head regclass NOT NULL,
  mark regclass NOT NULL,
  PRIMARY KEY (queue, lane)
);

-- Append-only, no index but the key: an enqueue never waits for another one.
-- lane 0 = single enqueues, lane 1 = enqueue_many, so that a bulk load hides nobody.
CREATE TABLE pgqueue.outbox (
  lane smallint NOT NULL DEFAULT 0 CONSTRAINT outbox_lane_known CHECK (lane IN (0, 1)),
  id bigint NOT NULL DEFAULT nextval('pgqueue.job_ids'),
  enqueued_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  run_at timestamptz,
  delay interval,
  max_age interval,
  payload_version integer NOT NULL DEFAULT 1,
  max_attempts smallint,
  priority smallint NOT NULL DEFAULT 0,
  correlation_id uuid NOT NULL,
  trace_id uuid NOT NULL,
  queue text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  unique_hash bytea,
  concurrency_key text COLLATE "C",
  args jsonb NOT NULL,
  PRIMARY KEY (lane, id),
  -- Three looks instead of one pattern with a count: a tenth of its time, and jobs pay for it at every claim.
  CONSTRAINT outbox_queue_plain CHECK (queue ~ '^[a-z0-9]' AND queue !~ '[^a-z0-9_.:-]' AND length(queue) <= 63),
  CONSTRAINT outbox_kind_length CHECK (length(kind) BETWEEN 1 AND 200),
  CONSTRAINT outbox_organization_length CHECK (length(organization_id) BETWEEN 1 AND 64),
  CONSTRAINT outbox_user_length CHECK (length(user_id) BETWEEN 1 AND 64),
  CONSTRAINT outbox_args_object CHECK (jsonb_typeof(args) = 'object' AND pg_column_size(args) <= 8388608),
  CONSTRAINT outbox_enqueued_at_sane CHECK (enqueued_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'),
  CONSTRAINT outbox_run_at_sane CHECK (run_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'),
  CONSTRAINT outbox_delay_sane CHECK (delay BETWEEN interval '0' AND interval '3650 days'),
  CONSTRAINT outbox_max_age_sane CHECK (max_age BETWEEN interval '1 second' AND interval '3650 days'),
  CONSTRAINT outbox_max_attempts_bounded CHECK (max_attempts BETWEEN 1 AND 100),
  CONSTRAINT outbox_priority_known CHECK (priority BETWEEN 0 AND 3),
  CONSTRAINT outbox_payload_version_positive CHECK (payload_version > 0),
  CONSTRAINT outbox_unique_hash_length CHECK (length(unique_hash) <= 64),
  CONSTRAINT outbox_concurrency_key_length CHECK (length(concurrency_key) <= 200)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

-- Every transaction that writes the outbox takes its transaction id before its first job id:
-- the outbox's mark rests on that order, also for COPY, triggers and other languages.
CREATE FUNCTION pgqueue.outbox_takes_xid() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$ BEGIN PERFORM pg_catalog.pg_current_xact_id(); RETURN NULL; END $$;
CREATE TRIGGER outbox_takes_xid BEFORE INSERT ON pgqueue.outbox
  FOR EACH STATEMENT EXECUTE FUNCTION pgqueue.outbox_takes_xid();

-- Every live job. waiting: run_at, no position; held: hold, neither; ready: position; running: claimed_by.
-- What a claim changes stands side by side, in no index and no index predicate (HOT; fillfactor leaves room).
CREATE TABLE pgqueue.jobs (
  id bigint PRIMARY KEY,
  enqueued_at timestamptz NOT NULL,
  expires_at timestamptz,
  run_at timestamptz,
  position bigint,
  claimed_at timestamptz,
  lease_until timestamptz,
  claimed_by uuid,
  claims integer NOT NULL DEFAULT 0,
  attempt smallint NOT NULL DEFAULT 0,
  crashes smallint NOT NULL DEFAULT 0,
  refusals smallint NOT NULL DEFAULT 0,
  max_attempts smallint,
  payload_version integer NOT NULL DEFAULT 1,
  lane smallint NOT NULL DEFAULT 0,
  front boolean NOT NULL DEFAULT false,
  cancel_requested boolean NOT NULL DEFAULT false,
  correlation_id uuid NOT NULL,
  trace_id uuid NOT NULL,
  queue text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  hold text COLLATE "C",
  doomed text,
  unique_hash bytea,
  concurrency_key text COLLATE "C",
  args jsonb NOT NULL,
  errors jsonb NOT NULL DEFAULT '[]',
  CONSTRAINT jobs_queue_plain CHECK (queue ~ '^[a-z0-9]' AND queue !~ '[^a-z0-9_.:-]' AND length(queue) <= 63),
  CONSTRAINT jobs_kind_length CHECK (length(kind) BETWEEN 1 AND 200),
  CONSTRAINT jobs_organization_length CHECK (length(organization_id) BETWEEN 1 AND 64),
  CONSTRAINT jobs_user_length CHECK (length(user_id) BETWEEN 1 AND 64),
  CONSTRAINT jobs_args_object CHECK (jsonb_typeof(args) = 'object' AND pg_column_size(args) <= 8388608),
  CONSTRAINT jobs_enqueued_at_sane CHECK (enqueued_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'),
  CONSTRAINT jobs_run_at_sane CHECK (run_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'),
  CONSTRAINT jobs_max_attempts_bounded CHECK (max_attempts BETWEEN 1 AND 100),
  CONSTRAINT jobs_lane_known CHECK (lane BETWEEN 0 AND 3),
  CONSTRAINT jobs_held_stand_nowhere CHECK (hold IS NULL OR (position IS NULL AND run_at IS NULL)),
  CONSTRAINT jobs_running_have_position_and_lease
    CHECK (claimed_by IS NULL OR (position IS NOT NULL AND lease_until IS NOT NULL AND claimed_at IS NOT NULL)),
  CONSTRAINT jobs_have_a_place CHECK (position IS NOT NULL OR run_at IS NOT NULL OR hold IS NOT NULL),
  -- What a person writes at a console is read by the relay and by every ending: what they could not read is refused here.
  CONSTRAINT jobs_hold_readable CHECK (NOT starts_with(hold, 'unique:') OR hold ~ '^unique:([0-9a-f]{2})+$'),
  CONSTRAINT jobs_expires_at_finite CHECK (isfinite(expires_at)),
  CONSTRAINT jobs_doomed_known CHECK (doomed IN ('attempts', 'crashed', 'expired', 'dead', 'invalid', 'unmovable')),
  CONSTRAINT jobs_errors_listed CHECK (jsonb_typeof(errors) = 'array')
-- Not 50: a claimed row is 32 bytes longer than it was before, and one row of each page would have to leave it.
) WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 100000);
CREATE INDEX jobs_ready ON pgqueue.jobs (queue, lane, position) WHERE position IS NOT NULL;
CREATE INDEX jobs_waiting ON pgqueue.jobs (run_at) WHERE run_at IS NOT NULL AND position IS NULL;
CREATE INDEX jobs_held ON pgqueue.jobs (hold, id) WHERE hold IS NOT NULL;
CREATE UNIQUE INDEX jobs_unique ON pgqueue.jobs (unique_hash) WHERE unique_hash IS NOT NULL;

-- Unclaimed rows that somebody keeps locked and that the mark had to pass; normally empty.
CREATE TABLE pgqueue.pins (
  job_id bigint PRIMARY KEY,
  position bigint NOT NULL,
  pinned_at timestamptz NOT NULL DEFAULT pgqueue.clock()
);

-- The dead letter queue: the whole job, why it died, who gave it another life before.
CREATE TABLE pgqueue.dead_jobs (
  id bigint PRIMARY KEY,
  died_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  reason text NOT NULL CONSTRAINT dead_jobs_reason_known
    CHECK (reason IN ('attempts', 'crashed', 'expired', 'dead', 'invalid', 'unmovable')),
  error text,
  error_type text,
  fingerprint text COLLATE "C",
  queue text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  payload_version integer NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  correlation_id uuid NOT NULL,
  trace_id uuid NOT NULL,
  args jsonb NOT NULL,
  errors jsonb NOT NULL DEFAULT '[]',
  attempt smallint NOT NULL,
  max_attempts smallint,
  crashes smallint NOT NULL,
  claims integer NOT NULL,
  lane smallint NOT NULL DEFAULT 0,
  enqueued_at timestamptz NOT NULL,
  run_at timestamptz,
  started_at timestamptz,
  worker_id uuid,
  unique_hash bytea,
  concurrency_key text COLLATE "C",
  requeued_at timestamptz,
  requeued_by text,
  CONSTRAINT dead_jobs_errors_listed CHECK (jsonb_typeof(errors) = 'array')
);
CREATE INDEX dead_jobs_by_time ON pgqueue.dead_jobs (died_at);
CREATE INDEX dead_jobs_by_kind ON pgqueue.dead_jobs (kind, died_at);
CREATE INDEX dead_jobs_by_organization ON pgqueue.dead_jobs (organization_id, died_at);
CREATE INDEX dead_jobs_by_fingerprint ON pgqueue.dead_jobs (fingerprint);

-- Completed, cancelled and discarded jobs for as long as they are kept. Partitioned by the day on which
-- a row may go (not by the day it ended), so that "1 hour" and "7 days" are each dropped whole.
CREATE TABLE pgqueue.finished_jobs (
  keep_until timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  id bigint NOT NULL,
  state text NOT NULL CONSTRAINT finished_jobs_state_known CHECK (state IN ('completed', 'cancelled', 'discarded')),
  reason text,
  queue text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  payload_version integer NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  correlation_id uuid NOT NULL,
  trace_id uuid NOT NULL,
  attempt smallint NOT NULL,
  max_attempts smallint,
  crashes smallint NOT NULL,
  claims integer NOT NULL,
  enqueued_at timestamptz NOT NULL,
  run_at timestamptz,
  started_at timestamptz,
  worker_id uuid,
  args jsonb NOT NULL,
  errors jsonb NOT NULL,
  PRIMARY KEY (id, keep_until)
) PARTITION BY RANGE (keep_until);
CREATE TABLE pgqueue.finished_jobs_later PARTITION OF pgqueue.finished_jobs DEFAULT;

CREATE TABLE pgqueue.workers (
  id uuid PRIMARY KEY,
  host text NOT NULL,
  pid integer NOT NULL,
  version text NOT NULL,
  queues text[] NOT NULL,
  kinds text[] NOT NULL,
  concurrency integer NOT NULL,
  running integer NOT NULL DEFAULT 0,
  started_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  heartbeat_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  draining boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

CREATE TABLE pgqueue.schedules (
  name text COLLATE "C" PRIMARY KEY,
  kind text COLLATE "C" NOT NULL,
  queue text COLLATE "C" NOT NULL,
  args jsonb NOT NULL DEFAULT '{}',
  cron text NOT NULL,
  time_zone text NOT NULL DEFAULT 'UTC',
  next_run_at timestamptz,
  paused_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT pgqueue.clock()
);
