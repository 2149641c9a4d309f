-- Uniqueness and idempotency: what of 0002_business.sql was not enough, and what effects and locks need.

ALTER TABLE pgqueue.outbox
  ADD COLUMN unique_max_wait interval
    CONSTRAINT outbox_unique_max_wait_sane CHECK (unique_max_wait BETWEEN interval '1 second' AND interval '3650 days'),
  DROP CONSTRAINT outbox_on_conflict_known,
  ADD CONSTRAINT outbox_on_conflict_known CHECK (on_conflict IN ('skip', 'replace', 'replace_args')),
  ADD CONSTRAINT outbox_unique_needs_hash
    CHECK (unique_hash IS NOT NULL OR num_nonnulls(unique_while, unique_period, unique_max_wait, on_conflict) = 0),
  ADD CONSTRAINT outbox_unique_period_has_length
    CHECK ((unique_while IS NOT DISTINCT FROM 'period') = (unique_period IS NOT NULL)),
  ADD CONSTRAINT outbox_unique_period_keeps_the_first CHECK (unique_while <> 'period' OR on_conflict = 'skip');

-- A job that is held until the one of its hash has ended has no run_at; when it wanted to run is kept here.
ALTER TABLE pgqueue.jobs ADD COLUMN not_before timestamptz
  CONSTRAINT jobs_not_before_sane CHECK (not_before BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z');

-- Enough to find a merged job and to say whose it was. Its arguments went the way that on_conflict says.
ALTER TABLE pgqueue.merged_jobs
  ADD COLUMN queue text COLLATE "C" NOT NULL,
  ADD COLUMN kind text COLLATE "C" NOT NULL,
  ADD COLUMN payload_version integer NOT NULL,
  ADD COLUMN organization_id text COLLATE "C" NOT NULL,
  ADD COLUMN user_id text COLLATE "C" NOT NULL,
  ADD COLUMN correlation_id uuid NOT NULL,
  ADD COLUMN trace_id uuid NOT NULL,
  ADD COLUMN enqueued_at timestamptz NOT NULL;

-- Who began the period of a hash, and until when nobody else comes in. Written by the relay alone.
CREATE TABLE pgqueue.unique_periods (
  unique_hash bytea PRIMARY KEY,
  survivor bigint NOT NULL,
  until timestamptz NOT NULL
);
CREATE INDEX unique_periods_by_time ON pgqueue.unique_periods (until);

-- What an application did once: written in the transaction of the effect.
CREATE TABLE pgqueue.once_keys (
  organization_id text COLLATE "C" NOT NULL
    CONSTRAINT once_keys_organization_length CHECK (length(organization_id) BETWEEN 1 AND 64),
  key text COLLATE "C" NOT NULL CONSTRAINT once_keys_key_length CHECK (length(key) BETWEEN 1 AND 500),
  done_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  keep_until timestamptz NOT NULL,
  PRIMARY KEY (organization_id, key)
);
CREATE INDEX once_keys_by_time ON pgqueue.once_keys (keep_until);

-- Locks with a time to live. Fences come from one sequence, so that they go on growing when a row is gone.
CREATE SEQUENCE pgqueue.lock_fences AS bigint CACHE 1;
CREATE TABLE pgqueue.locks (
  name text COLLATE "C" PRIMARY KEY CONSTRAINT locks_name_length CHECK (length(name) BETWEEN 1 AND 500),
  fence bigint NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX locks_by_time ON pgqueue.locks (expires_at);

-- A longer list of parameters would stand beside the older function, and calls would not know which one is meant.
DROP FUNCTION IF EXISTS pgqueue.enqueue(text, jsonb, text, text, text, timestamptz, interval, uuid, integer, integer, interval);
