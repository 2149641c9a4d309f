-- Limits and fairness: what the relay needs to hold jobs back and to put them in a fair order.

-- What the relay hands from step to step: a job that is due, and what was decided about it.
CREATE TYPE pgqueue.candidate AS (
  id bigint, queue text, lane smallint, kind text, organization_id text, cost smallint, limits text[],
  front boolean, due_at timestamptz);
CREATE TYPE pgqueue.decision AS (
  id bigint, hold text, permit bigint, "position" bigint, limits text[]);

-- Set at run time, over what the job's class says. name: a limit ("SendMail.organization_id"), one key of it
-- ("SendMail.organization_id=acme"), a kind ("kind:SendMail") or a queue ("queue:mail").
CREATE TABLE pgqueue.limits (
  name text COLLATE "C" PRIMARY KEY CONSTRAINT limits_name_length CHECK (length(name) BETWEEN 1 AND 300),
  running integer CONSTRAINT limits_running_positive CHECK (running > 0),
  -- "count/microseconds/burst", for names that begin with "rate:"
  rate text CONSTRAINT limits_rate_plain CHECK (rate ~ '^[1-9][0-9]{0,8}/[1-9][0-9]{0,15}/[1-9][0-9]{0,8}$'),
  set_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  set_by text,
  CONSTRAINT limits_say_one_thing CHECK (num_nonnulls(running, rate) = 1 AND starts_with(name, 'rate:') = (rate IS NOT NULL))
);

-- A rate is one timestamp for each key (GCRA): when everything that was taken would be paid at an even pace.
CREATE TABLE pgqueue.rates (
  key text COLLATE "C" PRIMARY KEY CONSTRAINT rates_key_length CHECK (length(key) BETWEEN 1 AND 400),
  spec text NOT NULL,
  paid_at timestamptz NOT NULL
) WITH (fillfactor = 50);
-- Rates that jobs wait for, and when the oldest of them may go. Written by the relay alone: callers may lock `rates`.
CREATE TABLE pgqueue.rate_waits (
  key text COLLATE "C" PRIMARY KEY,
  spec text NOT NULL,
  due_at timestamptz NOT NULL
);
CREATE INDEX rate_waits_by_time ON pgqueue.rate_waits (due_at);

-- The permits of a key: only the relay writes them, and takes out those whose job has let go (freed). A row has those
-- of 64 numbers that follow each other, for jobs of one key mostly come and go together (a row for each permit cost
-- three times as much). The numbers grow, so that what is counted of a key begins at its lowest living block, however
-- many dead rows stand below.
CREATE SEQUENCE pgqueue.permit_numbers;
CREATE TABLE pgqueue.permits (
  key text COLLATE "C" NOT NULL,
  block bigint NOT NULL,
  -- side by side: the number of each permit, and whose it is
  numbers bigint[] NOT NULL,
  jobs bigint[] NOT NULL,
  PRIMARY KEY (key, block)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

-- Written by whatever takes the positions of jobs away, in its transaction, one row for all of them (a row for each job
-- cost three times as much); read by the relay in the way of the outbox.
CREATE SEQUENCE pgqueue.freed_ids CACHE 1;
CREATE SEQUENCE pgqueue.freed_mark MINVALUE 0 START 0;
CREATE TABLE pgqueue.freed (
  id bigint PRIMARY KEY DEFAULT nextval('pgqueue.freed_ids'),
  -- side by side: which permit, and what it counted against; 0: nothing was let go, but there may be room now
  permits bigint[] NOT NULL,
  limits text[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000, toast_tuple_target = 8160);

ALTER TABLE pgqueue.jobs
  -- The number of its permits, as long as it has a position; not read without one.
  ADD COLUMN permit bigint,
  DROP CONSTRAINT jobs_limits_few,
  -- those of its class (at most three), its kind's and its queue's
  ADD CONSTRAINT jobs_limits_few CHECK (cardinality(limits) BETWEEN 1 AND 5);
-- What the relay can read: an element that it cannot would stop it at every round. In a function, because PostgreSQL
-- reads and plans the expressions of all checks anew for every statement: written out, this one took 60 us of a single
-- enqueue. Patterns without counts: a count is matched state by state. Jobs have no such check, for it would be paid at
-- every claim.
CREATE FUNCTION pgqueue.limits_readable(limits text[]) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  element text;
  spec text;
BEGIN
  IF (array_ndims(limits) = 1 AND array_lower(limits, 1) = 1 AND cardinality(limits) <= 3) IS NOT TRUE THEN RETURN false; END IF;
  FOREACH element IN ARRAY limits LOOP
    spec := split_part(element, ' ', 1);
    IF (length(element) <= 400 AND CASE WHEN strpos(element, ' rate:') = strpos(element, ' ') THEN
        element ~ '^[1-9][0-9]*/[1-9][0-9]*/[1-9][0-9]*/[1-9][0-9]* rate:.' AND length(split_part(spec, '/', 1)) <= 9
        AND length(split_part(spec, '/', 2)) <= 16 AND length(split_part(spec, '/', 3)) <= 9 AND length(split_part(spec, '/', 4)) <= 9
      ELSE element ~ '^[0-9]+ .' AND length(spec) <= 9 END) IS NOT TRUE THEN RETURN false; END IF;
  END LOOP;
  RETURN true;
END
$$;
ALTER TABLE pgqueue.outbox
  DROP CONSTRAINT outbox_limits_few,
  ADD CONSTRAINT outbox_limits_readable CHECK (limits IS NULL OR pgqueue.limits_readable(limits));

-- Held jobs are admitted in the order in which they were enqueued; ids of other databases lie in ranges of their own.
DROP INDEX pgqueue.jobs_held;
CREATE INDEX jobs_held ON pgqueue.jobs (hold, enqueued_at, id) WHERE hold IS NOT NULL;

-- Fairness: F of every organization that had a job (the highest row counts: they are only added, so that no row
-- versions stand in front of it); the row without organization is L. Not logged: losing it costs one job each.
CREATE UNLOGGED TABLE pgqueue.shares (
  queue text COLLATE "C" NOT NULL,
  lane smallint NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  finish bigint NOT NULL,
  PRIMARY KEY (queue, lane, organization_id, finish)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);

-- Who set the order at run time; NULL: the settings of the workers say it.
ALTER TABLE pgqueue.queues ADD COLUMN order_set_by text;

CREATE TABLE pgqueue.weights (
  organization_id text COLLATE "C" PRIMARY KEY CONSTRAINT weights_organization_length CHECK (length(organization_id) BETWEEN 1 AND 64),
  weight integer NOT NULL CONSTRAINT weights_weight_bounded CHECK (weight BETWEEN 1 AND 1000),
  set_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  set_by text
);
