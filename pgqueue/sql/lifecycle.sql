-- The life of a job, in order: enqueue → relay → (promote) → claim → heartbeat → settle.
-- "-- name: x" is a statement that Python sends; "-- function: x" is a stored function that migrations install.
-- The schema is written as pgqueue; the loader puts the configured name there once.
-- jit = off: until PostgreSQL 17 a plan node that is switched off costs 10^10, so that what is left of a plan is
-- compiled by LLVM at each call (seen on 15: a relay round of 190 ms instead of 2).

-- name: enqueue
-- One row, no index but the key: nothing here waits for another enqueuer. The id is the job's id for life.
INSERT INTO pgqueue.outbox
  (run_at, delay, max_age, payload_version, max_attempts, priority, correlation_id, trace_id,
   queue, kind, organization_id, user_id, limits, cost, args,
   unique_hash, unique_while, unique_period, unique_max_wait, on_conflict)
VALUES
  (%(run_at)s, %(delay)s, %(max_age)s, %(payload_version)s, %(max_attempts)s, %(priority)s,
   %(correlation_id)s, %(trace_id)s, %(queue)s, %(kind)s, %(organization_id)s, %(user_id)s, %(limits)s, %(cost)s,
   %(args)s::text::jsonb, %(unique_hash)s, %(unique_while)s, %(unique_period)s, %(unique_max_wait)s, %(on_conflict)s)
RETURNING id

-- name: enqueue_many
-- Columns as in pgqueue/bulk.py; ids come from the default, inside this statement, because the
-- outbox's mark rests on "transaction id first, job id second" (see the trigger on the table).
COPY pgqueue.outbox
  (lane, run_at, delay, max_age, payload_version, max_attempts, priority, correlation_id,
   queue, kind, organization_id, user_id, cost, unique_while, unique_period, unique_max_wait, on_conflict,
   trace_id, limits, unique_hash, args)
FROM STDIN (ENCODING 'UTF8')

-- name: last_job_id
SELECT last_value - (NOT is_called)::int AS id FROM pgqueue.job_ids

-- name: enqueued_ids
-- COPY returns no ids. The trace ids of one call share a random prefix, and COPY numbers rows in order.
SELECT id FROM pgqueue.outbox
WHERE lane = 1 AND id > %(after)s AND trace_id BETWEEN %(first)s AND %(last)s
ORDER BY id

-- function: enqueue
-- The same from SQL, triggers and other languages. A new parameter goes to the end: older calls stay valid.
-- The hash is that of pgqueue/unique.py: lengths before the parts. It calls no function of ours, because whoever may
-- call this one need not be allowed to call others.
CREATE OR REPLACE FUNCTION pgqueue.enqueue(
  kind text, args jsonb, organization_id text, user_id text, queue text DEFAULT 'default',
  run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL,
  correlation_id uuid DEFAULT gen_random_uuid(), payload_version integer DEFAULT 1,
  max_attempts integer DEFAULT NULL, max_age interval DEFAULT NULL,
  unique_key text DEFAULT NULL, unique_while text DEFAULT 'live', unique_period interval DEFAULT NULL,
  on_conflict text DEFAULT 'skip', unique_max_wait interval DEFAULT NULL)
RETURNS bigint LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO pgqueue.outbox (run_at, delay, max_age, payload_version, max_attempts, correlation_id, trace_id,
                              queue, kind, organization_id, user_id, args,
                              unique_hash, unique_while, unique_period, unique_max_wait, on_conflict)
  SELECT enqueue.run_at, enqueue.delay, enqueue.max_age, enqueue.payload_version, enqueue.max_attempts,
         enqueue.correlation_id, gen_random_uuid(), enqueue.queue, enqueue.kind,
         enqueue.organization_id, enqueue.user_id, enqueue.args,
         CASE WHEN u.keyed THEN (
           SELECT sha256(string_agg(convert_to(length(p.part) || ':', 'UTF8') || p.part, '' ORDER BY p.n))
           FROM (VALUES (1, convert_to(enqueue.organization_id, 'UTF8')), (2, convert_to(enqueue.kind, 'UTF8')),
                        (3, convert_to(enqueue.unique_key, 'UTF8'))) AS p (n, part)) END,
         CASE WHEN u.keyed AND enqueue.unique_period IS NOT NULL THEN 'period' WHEN u.keyed THEN enqueue.unique_while END,
         enqueue.unique_period, enqueue.unique_max_wait, CASE WHEN u.keyed THEN enqueue.on_conflict END
  FROM (SELECT enqueue.unique_key IS NOT NULL AS keyed) AS u
  RETURNING id
$$

-- function: add_queue
-- A queue is known from its first job or its first worker on. Each lane has two sequences of its own.
CREATE OR REPLACE FUNCTION pgqueue.add_queue(queue text, lane smallint DEFAULT 0)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  suffix text;
BEGIN
  INSERT INTO pgqueue.queues (name) VALUES (add_queue.queue) ON CONFLICT DO NOTHING;
  -- Two processes may meet a new queue at once: the row lock lets one of them make the sequences.
  SELECT q.number || '_' || add_queue.lane INTO STRICT suffix
  FROM pgqueue.queues q WHERE q.name = add_queue.queue FOR UPDATE;
  IF EXISTS (SELECT FROM pgqueue.marks m WHERE m.queue = add_queue.queue AND m.lane = add_queue.lane) THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE SEQUENCE pgqueue.%I MINVALUE 0 START 0', 'head_' || suffix);
  EXECUTE format('CREATE SEQUENCE pgqueue.%I MINVALUE 0 START 0', 'mark_' || suffix);
  INSERT INTO pgqueue.marks (queue, lane, head, mark)
  VALUES (add_queue.queue, add_queue.lane,
          format('pgqueue.%I', 'head_' || suffix)::regclass, format('pgqueue.%I', 'mark_' || suffix)::regclass);
END
$$

-- function: outbox_read
-- What the relay may take from one lane: first the gaps (ids it passed while their transaction was open),
-- then everything after the highest id it has seen there.
CREATE OR REPLACE FUNCTION pgqueue.outbox_read(from_lane smallint, seen bigint, gaps int8multirange, batch integer)
RETURNS bigint[] LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  SELECT coalesce(array_agg(id), '{}') FROM (
    (SELECT o.id FROM unnest(outbox_read.gaps) AS gap
       JOIN pgqueue.outbox o ON o.lane = outbox_read.from_lane
        AND o.id >= lower(gap) AND o.id < upper(gap) AND o.id <= outbox_read.seen
      ORDER BY o.id LIMIT outbox_read.batch)
    UNION ALL
    (SELECT o.id FROM pgqueue.outbox o
      WHERE o.lane = outbox_read.from_lane AND o.id > outbox_read.seen ORDER BY o.id LIMIT outbox_read.batch)
  ) AS found
$$

-- function: relay_move
-- Outbox rows become jobs, in one statement. A job that is due gets the next position of its queue and lane;
-- one for later gets none (promote will give it one). decided: a job of the batch has limits, or a fair queue.
CREATE OR REPLACE FUNCTION pgqueue.relay_move(from_lane smallint, ids bigint[], decided boolean, lows jsonb)
RETURNS TABLE (moved bigint, woken text) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
DECLARE
  moment constant timestamptz := pgqueue.clock();
BEGIN
  RETURN QUERY
  WITH taken AS (
    DELETE FROM pgqueue.outbox o WHERE o.lane = relay_move.from_lane AND o.id = ANY (relay_move.ids) RETURNING o.*
  ), decisions AS MATERIALIZED (
    SELECT c.* FROM unnest(CASE WHEN decided THEN pgqueue.decide(ARRAY(
      SELECT ROW(t.id, t.queue, t.priority, t.kind, t.organization_id, t.cost, t.limits, false, NULL)::pgqueue.candidate FROM taken t
      -- as `ready` below: what is enqueued at a time that this clock has not reached (a source's may be ahead) is due, too
      WHERE coalesce(nullif(coalesce(t.run_at, t.enqueued_at + t.delay), t.enqueued_at) <= moment, true) ORDER BY t.id), lows) END) AS c
  ), due AS MATERIALIZED (
    SELECT t.*, nullif(coalesce(t.run_at, t.enqueued_at + t.delay), t.enqueued_at) AS due_at,
           c.hold, c.permit, c.position, coalesce(c.limits, t.limits) AS counted
    FROM taken t LEFT JOIN decisions AS c ON c.id = t.id
  ), placed AS MATERIALIZED (
    SELECT d.*, coalesce(d.due_at <= moment, true) AND d.hold IS NULL AS ready, row_number() OVER (
      PARTITION BY d.queue, d.priority, coalesce(d.due_at <= moment, true) AND d.hold IS NULL ORDER BY d.id) AS place
    FROM due d
  ), heads AS MATERIALIZED (
    SELECT m.queue, m.lane, m.head, coalesce(pg_sequence_last_value(m.head), 0) AS last
    FROM (SELECT DISTINCT p.queue, p.priority FROM placed p) AS used
    JOIN pgqueue.marks m ON m.queue = used.queue AND m.lane = used.priority
  ), inserted AS (
    INSERT INTO pgqueue.jobs (id, enqueued_at, expires_at, run_at, position, max_attempts, payload_version, lane,
                              correlation_id, trace_id, queue, kind, organization_id, user_id,
                              unique_hash, limits, cost, hold, permit, args)
    -- Whoever enqueues without a max_age (SQL, triggers) gets a week: snoozing has an end for every job.
    SELECT p.id, p.enqueued_at, coalesce(p.due_at, p.enqueued_at) + coalesce(p.max_age, interval '7 days'),
           CASE WHEN p.hold IS NULL THEN p.due_at END, CASE WHEN p.ready THEN coalesce(p.position, h.last + p.place) END,
           p.max_attempts, p.payload_version, p.priority,
           p.correlation_id, p.trace_id, p.queue, p.kind, p.organization_id, p.user_id,
           -- a period is kept by unique_periods, whatever becomes of the job
           CASE WHEN p.unique_while IS DISTINCT FROM 'period' THEN p.unique_hash END, p.counted, p.cost, p.hold, p.permit, p.args
    FROM placed p LEFT JOIN heads h ON h.queue = p.queue AND h.lane = p.priority
    RETURNING id, queue, lane, position
  ), advanced AS MATERIALIZED (
    SELECT i.queue, setval(h.head, greatest(h.last, max(i.position))) FROM inserted i
    JOIN heads h ON h.queue = i.queue AND h.lane = i.lane WHERE i.position IS NOT NULL GROUP BY i.queue, h.head, h.last
  )
  SELECT i.id, CASE WHEN i.position IS NOT NULL AND a.queue IS NOT NULL THEN i.queue END
  FROM inserted i LEFT JOIN (SELECT DISTINCT ad.queue FROM advanced ad) a ON a.queue = i.queue;
END
$$

-- function: relay_bury
-- A row that cannot become a job must not stop the others: it becomes a dead letter that says why.
CREATE OR REPLACE FUNCTION pgqueue.relay_bury(from_lane smallint, job bigint, why text)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
  WITH taken AS (
    DELETE FROM pgqueue.outbox o WHERE o.lane = relay_bury.from_lane AND o.id = relay_bury.job RETURNING o.*)
  INSERT INTO pgqueue.dead_jobs (id, reason, error, error_type, fingerprint, queue, kind, payload_version,
    organization_id, user_id, correlation_id, trace_id, args, attempt, max_attempts, crashes, claims, lane,
    enqueued_at, run_at, unique_hash, limits, cost)
  SELECT t.id, 'unmovable', relay_bury.why, 'relay', md5('relay ' || t.kind), t.queue, t.kind, t.payload_version,
    t.organization_id, t.user_id, t.correlation_id, t.trace_id, t.args, 0, t.max_attempts, 0, 0, t.priority,
    -- a time that no job may have is not kept either: nobody could read it
    t.enqueued_at, least(coalesce(t.run_at, t.enqueued_at + t.delay), '9999-01-01 00:00Z'), t.unique_hash, t.limits, t.cost
  FROM taken t
$$

-- function: relay_split
-- Moves a batch; if it fails, halves it until the culprit stands alone. Rows that somebody has locked
-- (a cancel in an open transaction) are left for the next round.
CREATE OR REPLACE FUNCTION pgqueue.relay_split(from_lane smallint, ids bigint[], decided boolean, lows jsonb)
RETURNS TABLE (moved bigint, woken text) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
DECLARE
  half constant integer := cardinality(ids) / 2;
  free bigint[];
BEGIN
  IF cardinality(ids) = 0 THEN RETURN; END IF;
  BEGIN
    RETURN QUERY SELECT m.moved, m.woken FROM pgqueue.relay_move(relay_split.from_lane, relay_split.ids, decided, lows) m;
  EXCEPTION
    WHEN lock_not_available THEN
      SELECT coalesce(array_agg(o.id), '{}') INTO free FROM (
        SELECT x.id FROM pgqueue.outbox x WHERE x.lane = relay_split.from_lane AND x.id = ANY (relay_split.ids)
        FOR UPDATE SKIP LOCKED) o;
      IF cardinality(free) < cardinality(ids) THEN
        RETURN QUERY SELECT s.moved, s.woken FROM pgqueue.relay_split(relay_split.from_lane, free, decided, lows) s;
      END IF;
    WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
      IF cardinality(ids) = 1 THEN
        PERFORM pgqueue.relay_bury(relay_split.from_lane, ids[1], SQLERRM);
        RETURN QUERY SELECT ids[1], NULL::text;
      ELSE
        RETURN QUERY SELECT s.moved, s.woken FROM pgqueue.relay_split(relay_split.from_lane, ids[:half], decided, lows) s;
        RETURN QUERY SELECT s.moved, s.woken FROM pgqueue.relay_split(relay_split.from_lane, ids[half + 1:], decided, lows) s;
      END IF;
  END;
END
$$

-- function: refresh_marks
-- Moves V of each queue and lane to its first unclaimed position. A claim in flight still looks unclaimed
-- here, so V can only lag, never lead. setval is not undone by a rollback and need not be: V was true.
-- A position that nobody gave (written by hand) must not carry V away. In one statement, for there may be thousands.
CREATE OR REPLACE FUNCTION pgqueue.refresh_marks()
RETURNS jsonb LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_array(moved.queue, moved.lane, moved.first)) FILTER (WHERE moved.first <= moved.h), '[]') FROM (
    SELECT found.queue, found.lane, found.first, found.h,
           CASE WHEN found.first > found.v THEN setval(found.mark, least(found.first, found.h + 1)) END
    FROM (
      SELECT k.*, coalesce((
        SELECT j.position FROM pgqueue.jobs j
        WHERE j.queue = k.queue AND j.lane = k.lane AND j.position >= k.v AND j.claimed_by IS NULL
          AND NOT EXISTS (SELECT FROM pgqueue.pins p WHERE p.job_id = j.id AND p.position = j.position)
        ORDER BY j.position LIMIT 1), k.h + 1) AS first
      FROM (
        SELECT m.queue, m.lane, m.mark, greatest(pg_sequence_last_value(m.mark), 1) AS v,
               coalesce(pg_sequence_last_value(m.head), 0) AS h FROM pgqueue.marks m OFFSET 0) AS k
      WHERE k.v <= k.h OFFSET 0) AS found
    OFFSET 0) AS moved
$$

-- function: pin
-- V stood still although later jobs were claimed: somebody keeps unclaimed rows locked. They are written down
-- here; once that is committed, refresh_marks passes them. Never publish before: a rollback would lose them.
CREATE OR REPLACE FUNCTION pgqueue.pin(of_queue text, of_lane smallint)
RETURNS integer LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  v bigint;
  free bigint;
  pinned integer;
BEGIN
  SELECT greatest(pg_sequence_last_value(m.mark), 1) INTO v FROM pgqueue.marks m
  WHERE m.queue = pin.of_queue AND m.lane = pin.of_lane;
  SELECT j.position INTO free FROM pgqueue.jobs j
  WHERE j.queue = pin.of_queue AND j.lane = pin.of_lane AND j.position >= v AND j.claimed_by IS NULL
  ORDER BY j.position LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
  INSERT INTO pgqueue.pins (job_id, position)
  SELECT j.id, j.position FROM pgqueue.jobs j
  WHERE j.queue = pin.of_queue AND j.lane = pin.of_lane AND j.position >= v AND j.claimed_by IS NULL
    AND (free IS NULL OR j.position < free)
  ORDER BY j.position LIMIT 100
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS pinned = ROW_COUNT;
  RETURN pinned;
END
$$

-- function: unpin
-- A pinned row whose lock is gone gets a position at V again, and is forgotten.
CREATE OR REPLACE FUNCTION pgqueue.unpin()
RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pgqueue.pins) THEN RETURN; END IF;
  DELETE FROM pgqueue.pins p WHERE NOT EXISTS (
    SELECT FROM pgqueue.jobs j WHERE j.id = p.job_id AND j.position = p.position AND j.claimed_by IS NULL);
  RETURN QUERY
  WITH free AS MATERIALIZED (
    SELECT j.id, j.queue, j.lane FROM pgqueue.pins p JOIN pgqueue.jobs j ON j.id = p.job_id AND j.position = p.position
    WHERE j.claimed_by IS NULL ORDER BY j.id LIMIT 100 FOR NO KEY UPDATE OF j SKIP LOCKED
  ), gone AS (
    DELETE FROM pgqueue.pins p USING free f WHERE p.job_id = f.id
  )
  UPDATE pgqueue.jobs j SET position = greatest(pg_sequence_last_value(m.mark), 1)
  FROM free f JOIN pgqueue.marks m ON m.queue = f.queue AND m.lane = f.lane
  WHERE j.id = f.id RETURNING j.queue;
END
$$

-- function: promote
-- run_at has come: the job gets a position, at the end, or at V when it was given back or rescued.
-- The mark is set from what this snapshot shows before anything is changed, so a rollback cannot skip a row.
CREATE OR REPLACE FUNCTION pgqueue.promote(batch integer, sweep boolean DEFAULT false, lows jsonb DEFAULT '{}')
RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  moment constant timestamptz := pgqueue.clock();
  epoch constant timestamptz := 'epoch';
  low timestamptz := epoch + coalesce(pg_sequence_last_value('pgqueue.promote_mark'), 0) * interval '1 microsecond';
  first timestamptz;
BEGIN
  IF sweep THEN low := epoch; END IF;
  SELECT j.run_at INTO first FROM pgqueue.jobs j
  WHERE j.run_at IS NOT NULL AND j.position IS NULL AND j.run_at >= low ORDER BY j.run_at LIMIT 1;
  IF NOT sweep AND least(first, moment) - interval '60 seconds' > low + interval '1 second' THEN
    PERFORM setval('pgqueue.promote_mark',
                   (extract(epoch FROM least(first, moment) - interval '60 seconds') * 1000000)::bigint);
  END IF;
  IF first IS NULL OR first > moment THEN RETURN; END IF;
  IF NOT pgqueue.order_is_plain() OR EXISTS (
    SELECT FROM (SELECT j.limits FROM pgqueue.jobs j WHERE j.run_at IS NOT NULL AND j.position IS NULL AND j.run_at BETWEEN low AND moment
                 ORDER BY j.run_at LIMIT promote.batch) AS soon WHERE soon.limits IS NOT NULL) THEN
    RETURN QUERY SELECT * FROM pgqueue.promote_decided(low, moment, promote.batch, lows);
    RETURN;
  END IF;
  RETURN QUERY
  WITH due AS MATERIALIZED (
    SELECT j.id, j.queue, j.lane, j.front, j.run_at FROM pgqueue.jobs j
    -- A limited one may have come since the look above, or stand behind rows that somebody has locked: the next round's.
    WHERE j.run_at IS NOT NULL AND j.position IS NULL AND j.run_at BETWEEN low AND moment AND j.limits IS NULL
    ORDER BY j.run_at LIMIT promote.batch FOR NO KEY UPDATE SKIP LOCKED
  ), placed AS MATERIALIZED (
    SELECT d.*, row_number() OVER (PARTITION BY d.queue, d.lane, d.front ORDER BY d.run_at, d.id) AS place FROM due d
  ), heads AS MATERIALIZED (
    SELECT m.queue, m.lane, m.head, coalesce(pg_sequence_last_value(m.head), 0) AS last,
           greatest(pg_sequence_last_value(m.mark), 1) AS v
    FROM (SELECT DISTINCT d.queue, d.lane FROM due d) used
    JOIN pgqueue.marks m ON m.queue = used.queue AND m.lane = used.lane
  ), updated AS (
    UPDATE pgqueue.jobs j SET position = CASE WHEN p.front THEN h.v ELSE h.last + p.place END, front = false
    FROM placed p JOIN heads h ON h.queue = p.queue AND h.lane = p.lane
    WHERE j.id = ANY (ARRAY(SELECT d.id FROM due d)) AND j.id = p.id RETURNING j.queue, j.lane, j.position
  )
  SELECT u.queue FROM updated u JOIN heads h ON h.queue = u.queue AND h.lane = u.lane
  GROUP BY u.queue, u.lane, h.head, h.last
  HAVING setval(h.head, greatest(h.last, max(u.position))) IS NOT NULL;
END
$$

-- function: relay_due
-- Is there anything to relay, promote or publish? Read-only, so that an idle queue writes nothing.
CREATE OR REPLACE FUNCTION pgqueue.relay_due(seen bigint[], gaps int8multirange, freed jsonb)
RETURNS boolean LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
  RETURN EXISTS (SELECT FROM pgqueue.outbox o WHERE o.lane = 0 AND o.id > seen[1])
    OR EXISTS (SELECT FROM pgqueue.outbox o WHERE o.lane = 1 AND o.id > seen[2])
    OR cardinality(pgqueue.outbox_read(0::smallint, seen[1], gaps, 1)) > 0
    OR cardinality(pgqueue.outbox_read(1::smallint, seen[2], gaps, 1)) > 0
    OR EXISTS (
      SELECT FROM pgqueue.jobs j WHERE j.run_at IS NOT NULL AND j.position IS NULL AND j.run_at <= (SELECT pgqueue.clock())
        AND j.run_at >= 'epoch'::timestamptz
          + coalesce(pg_sequence_last_value('pgqueue.promote_mark'), 0) * interval '1 microsecond')
    OR EXISTS (SELECT FROM pgqueue.pins)
    OR EXISTS (SELECT FROM pgqueue.jobs h WHERE h.hold >= 'unique:' AND h.hold < 'unique;' AND NOT EXISTS (
      SELECT FROM pgqueue.jobs l WHERE l.unique_hash = decode(substr(h.hold, 8), 'hex') OFFSET 0))
    OR EXISTS (SELECT FROM pgqueue.rate_waits w WHERE w.due_at <= (SELECT pgqueue.clock()))
    OR (SELECT f.more FROM pgqueue.freed_read(coalesce((freed ->> 'seen')::bigint, pg_sequence_last_value('pgqueue.freed_mark'), 0),
                                              coalesce((freed ->> 'gaps')::int8multirange, '{}'), 0) AS f)
    OR EXISTS (
      SELECT FROM (SELECT m.queue, m.lane, greatest(pg_sequence_last_value(m.mark), 1) AS v,
                          coalesce(pg_sequence_last_value(m.head), 0) AS h FROM pgqueue.marks m OFFSET 0) k
      WHERE k.v <= k.h AND NOT EXISTS (
        SELECT FROM pgqueue.jobs j WHERE j.queue = k.queue AND j.lane = k.lane AND j.position = k.v
                                     AND j.claimed_by IS NULL));
END
$$

-- function: take_turn
-- A role that one process keeps while it can. The row lock excludes others for this transaction; the sequence
-- says until when (ms) the role is taken, without making row versions. Returns the new token, or NULL.
CREATE OR REPLACE FUNCTION pgqueue.take_turn(role text, token bigint, term interval)
RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  term_ends constant regclass := format('pgqueue.%I', 'turn_' || role)::regclass;
  taken bigint;
  moment constant bigint := (extract(epoch FROM pgqueue.clock()) * 1000)::bigint;
  length constant bigint := (extract(epoch FROM term) * 1000)::bigint;
BEGIN
  taken := coalesce(pg_sequence_last_value(term_ends), 0);
  -- A term further away than any term can be was written under a clock that was wrong.
  IF taken <> coalesce(token, -1) AND taken > moment AND taken <= moment + 2 * length THEN RETURN NULL; END IF;
  PERFORM FROM pgqueue.turns t WHERE t.name = take_turn.role FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF coalesce(pg_sequence_last_value(term_ends), 0) <> taken THEN RETURN NULL; END IF;
  IF taken = coalesce(token, -1) AND taken > moment + length / 2 THEN RETURN taken; END IF;
  RETURN setval(term_ends, moment + length);
END
$$

-- function: leave_turn
-- A process that ends in order lets the next one have the role at once.
CREATE OR REPLACE FUNCTION pgqueue.leave_turn(role text, token bigint)
RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  term_ends constant regclass := format('pgqueue.%I', 'turn_' || role)::regclass;
BEGIN
  PERFORM FROM pgqueue.turns t WHERE t.name = leave_turn.role FOR UPDATE SKIP LOCKED;
  IF NOT FOUND OR pg_sequence_last_value(term_ends) IS DISTINCT FROM token THEN RETURN false; END IF;
  PERFORM setval(term_ends, 0);
  RETURN true;
END
$$

-- function: relay
-- The only writer of order. One message from the client, a transaction of its own, READ COMMITTED: each statement
-- below has a new snapshot, so what is read is read after the lock was taken. The caller keeps `state` between
-- calls, and passes it again only if the call before was committed; without it all starts from the durable marks.
CREATE OR REPLACE FUNCTION pgqueue.relay(
  state jsonb, batch integer, term interval, wake text DEFAULT NULL, stuck jsonb DEFAULT '[]')
RETURNS jsonb LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
DECLARE
  marks constant bigint[] := ARRAY[coalesce(pg_sequence_last_value('pgqueue.outbox_mark_single'), 0),
                                   coalesce(pg_sequence_last_value('pgqueue.outbox_mark_bulk'), 0)];
  seen bigint[] := ARRAY[coalesce((state #>> '{seen,0}')::bigint, marks[1]), coalesce((state #>> '{seen,1}')::bigint, marks[2])];
  top bigint := coalesce((state ->> 'top')::bigint, least(marks[1], marks[2]));
  gaps int8multirange := coalesce((state ->> 'gaps')::int8multirange, '{}');
  candidate bigint := (state ->> 'candidate')::bigint;
  candidate_xid xid8 := (state ->> 'candidate_xid')::xid8;
  last_id bigint;
  own_xid xid8;
  turn bigint;
  lagging jsonb;
  relayed jsonb;
  freed jsonb;
  last_freed bigint;
  woken text[];
  promoted text[];
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'pgqueue.relay needs READ COMMITTED, this transaction is %', current_setting('transaction_isolation')
      USING HINT = 'Call it in a READ COMMITTED transaction of its own.';
  ELSIF pg_current_xact_id_if_assigned() IS NOT NULL THEN
    RAISE EXCEPTION 'pgqueue.relay must be the first to write in its transaction';
  END IF;
  -- Nobody may hold the relay's lock for long, whatever happens to this backend (PostgreSQL 17 and later can say so).
  IF current_setting('server_version_num')::integer >= 170000 THEN
    PERFORM set_config('transaction_timeout', '30s', true);
  END IF;
  IF (state ->> 'turn')::bigint > (extract(epoch FROM pgqueue.clock() + term / 2) * 1000)::bigint
     AND jsonb_array_length(stuck) = 0 AND NOT pgqueue.relay_due(seen, gaps, state -> 'freed') THEN
    RETURN jsonb_build_object('state', state, 'idle', true);
  END IF;
  -- In this order: any transaction that took an id up to last_id had its xid before we get ours.
  last_id := (SELECT s.last_value - (NOT s.is_called)::int FROM pgqueue.job_ids s);
  last_freed := (SELECT s.last_value - (NOT s.is_called)::int FROM pgqueue.freed_ids s);
  turn := pgqueue.take_turn('relay', (state ->> 'turn')::bigint, term);
  -- A sweep that stands in our place for a moment has not taken the role: who gave it up now would wait for its term.
  IF turn IS NULL THEN RETURN jsonb_build_object('idle', true, 'state',
    CASE WHEN pg_sequence_last_value('pgqueue.turn_relay') = (state ->> 'turn')::bigint THEN state END); END IF;
  own_xid := pg_current_xact_id();
  lagging := pgqueue.refresh_marks();
  IF last_freed > 0 THEN freed := pgqueue.free_permits(state -> 'freed', last_freed, own_xid, batch, (state ->> 'full')::boolean); END IF;
  PERFORM pgqueue.relay_release();
  relayed := pgqueue.relay_round(seen, top, gaps, marks,
    CASE WHEN pg_snapshot_xmin(pg_current_snapshot()) >= candidate_xid THEN candidate END, batch, freed #> '{state,lows}');
  promoted := ARRAY(SELECT jsonb_array_elements_text(freed -> 'woken') UNION SELECT pgqueue.unpin() UNION SELECT
    pgqueue.promote(batch, lows => freed #> '{state,lows}') UNION SELECT pgqueue.admit_paced(batch, freed #> '{state,lows}'));
  PERFORM pgqueue.pin(s ->> 0, (s ->> 1)::smallint) FROM jsonb_array_elements(stuck) s;
  woken := ARRAY(SELECT jsonb_array_elements_text(relayed -> 'woken') UNION SELECT unnest(promoted));
  PERFORM pg_notify(wake, q) FROM unnest(woken) q WHERE wake IS NOT NULL AND pg_notification_queue_usage() < 0.5;
  IF candidate IS NULL OR (relayed ->> 'low')::bigint >= candidate THEN
    candidate := last_id;
    candidate_xid := own_xid;
  END IF;
  RETURN jsonb_build_object('relayed', relayed -> 'moved', 'more', true IN ((relayed -> 'more')::boolean, (freed -> 'more')::boolean),
    'woken', to_jsonb(woken), 'promoted', cardinality(promoted), 'lagging', lagging, 'idle', false, 'state', (relayed -> 'state') ||
      jsonb_build_object('freed', freed -> 'state', 'full', relayed -> 'more', 'turn', turn, 'candidate', candidate, 'candidate_xid', candidate_xid::text));
END
$$

-- function: relay_round
-- One batch of each lane, and the outbox's marks.
CREATE OR REPLACE FUNCTION pgqueue.relay_round(
  seen bigint[], top bigint, gaps int8multirange, marks bigint[], settled bigint, batch integer, lows jsonb)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  single bigint[] := pgqueue.outbox_read(0::smallint, seen[1], gaps, batch);
  bulk bigint[] := pgqueue.outbox_read(1::smallint, seen[2], gaps, batch);
  passed record;
BEGIN
  SELECT * INTO passed FROM pgqueue.relay_pass(single, bulk, '{}', lows);
  RETURN pgqueue.outbox_advance(seen, top, gaps, marks, settled, single, bulk, passed.moved) || jsonb_build_object(
    'moved', cardinality(passed.moved), 'woken', to_jsonb(passed.woken),
    'more', cardinality(single) >= batch OR cardinality(bulk) >= batch);
END
$$

-- function: relay_pass
-- The way of outbox rows: merge where a job is unique, admit where it is limited, order where its queue is fair, move.
-- Returns the ids that have left the outbox; what is missing there stays for the next round (somebody has a row locked
-- that would have to be changed). lows: what the relay remembers of permits, to read fewer of them.
CREATE OR REPLACE FUNCTION pgqueue.relay_pass(
  single bigint[], bulk bigint[], carried bigint[], lows jsonb, OUT moved bigint[], OUT woken text[])
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
DECLARE
  decided boolean := EXISTS (SELECT FROM pgqueue.limits);
  entered record;
  keyed bigint[] := '{}';
  merged bigint[] := '{}';
  aside bigint[];
BEGIN
  FOR entered IN
    SELECT o.queue, o.priority, bool_or(o.limits IS NOT NULL) AS limited,
           array_agg(o.id) FILTER (WHERE o.unique_hash IS NOT NULL) AS keyed FROM pgqueue.outbox o
    WHERE (o.lane = 0 AND o.id = ANY (single)) OR (o.lane = 1 AND o.id = ANY (bulk))
       OR (o.lane = 2 AND o.id = ANY (carried)) GROUP BY o.queue, o.priority
  LOOP
    IF NOT EXISTS (SELECT FROM pgqueue.marks m WHERE m.queue = entered.queue AND m.lane = entered.priority) THEN
      PERFORM pgqueue.add_queue(entered.queue, entered.priority);
    END IF;
    decided := decided OR entered.limited OR EXISTS (SELECT FROM pgqueue.queues q WHERE q.name = entered.queue AND q."order" = 'fair');
    keyed := keyed || entered.keyed;
  END LOOP;
  IF cardinality(keyed) > 0 THEN
    SELECT coalesce(array_agg(m.id), '{}'), coalesce(array_agg(m.id) FILTER (WHERE m.done), '{}') INTO aside, merged
    FROM pgqueue.relay_merge(keyed) m;
    single := ARRAY(SELECT unnest(single) EXCEPT SELECT unnest(aside));
    bulk := ARRAY(SELECT unnest(bulk) EXCEPT SELECT unnest(aside));
    carried := ARRAY(SELECT unnest(carried) EXCEPT SELECT unnest(aside));
  END IF;
  SELECT merged || coalesce(array_agg(r.moved), '{}'), coalesce(array_agg(DISTINCT r.woken) FILTER (WHERE r.woken IS NOT NULL), '{}')
  INTO moved, woken FROM (
    SELECT s.moved, s.woken FROM pgqueue.relay_split(0::smallint, single, decided, lows) s UNION ALL
    SELECT s.moved, s.woken FROM pgqueue.relay_split(1::smallint, bulk, decided, lows) s UNION ALL
    SELECT s.moved, s.woken FROM pgqueue.relay_split(2::smallint, carried, decided, lows) s) r;
END
$$

-- function: outbox_advance
-- Moves the outbox's marks up to `settled` (every id up to there is known to be committed or gone), but stays below
-- what this very transaction takes: it may still roll back, setval does not. Returns what to remember until next time.
CREATE OR REPLACE FUNCTION pgqueue.outbox_advance(
  seen bigint[], top bigint, gaps int8multirange, marks bigint[], settled bigint,
  single bigint[], bulk bigint[], moved bigint[])
RETURNS jsonb LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  low bigint[] := marks;
BEGIN
  IF settled IS NOT NULL THEN
    low := ARRAY[greatest(marks[1], least(settled, (SELECT min(i) - 1 FROM unnest(single) i))),
                 greatest(marks[2], least(settled, (SELECT min(i) - 1 FROM unnest(bulk) i)))];
  END IF;
  IF low[1] > marks[1] THEN PERFORM setval('pgqueue.outbox_mark_single', low[1]); END IF;
  IF low[2] > marks[2] THEN PERFORM setval('pgqueue.outbox_mark_bulk', low[2]); END IF;
  seen := ARRAY[greatest(seen[1], low[1], (SELECT max(i) FROM unnest(single) i)),
                greatest(seen[2], low[2], (SELECT max(i) FROM unnest(bulk) i))];
  gaps := (gaps + int8multirange(int8range(top, greatest(top, seen[1], seen[2]), '(]')))
          - coalesce((SELECT range_agg(int8range(i, i, '[]')) FROM unnest(moved) i), '{}');
  gaps := gaps * int8multirange(int8range(least(low[1], low[2]), NULL, '()'));
  RETURN jsonb_build_object('low', least(low[1], low[2]), 'state',
    jsonb_build_object('seen', to_jsonb(seen), 'top', greatest(top, seen[1], seen[2]), 'gaps', gaps::text));
END
$$

-- name: relay
SELECT pgqueue.relay(%(state)s::text::jsonb, %(batch)s, %(term)s, %(wake)s, %(stuck)s::text::jsonb)::text AS result

-- function: claim
-- Takes up to limits[i] jobs of queues[i], first position first. Reading V here, from the sequence, keeps dead
-- entries of finished jobs out of the scan. MATERIALIZED + ORDER BY + SKIP LOCKED: other shapes were seen to
-- take more than their LIMIT. The update is HOT: nothing it changes stands in an index. It finds its rows by an array
-- of keys: a join could turn around and read the whole table (seen where statistics knew one row of 20 000).
-- claims is the fence: it has only to differ from what it was, so at the end of its range (a number that a person wrote)
-- it goes on below, where no claim has been.
-- Lanes are the priorities inside a queue: 1 high, 0 normal, 2 low. A higher one leaves an eighth of the room to those
-- below it (of a single place: every eighth time), and the second pass takes back what they did not need.
CREATE OR REPLACE FUNCTION pgqueue.claim(worker uuid, queues text[], limits integer[], lease interval)
RETURNS TABLE (id bigint, queue text, kind text, payload_version integer, args text, organization_id text,
  user_id text, correlation_id text, trace_id text, attempt smallint, max_attempts smallint, claims integer,
  crashes smallint, refusals smallint, cancel_requested boolean, doomed text, enqueued double precision,
  waited double precision, expires_in double precision)
LANGUAGE plpgsql VOLATILE ROWS 100
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  entry record;
  room integer;
  share integer;
  taken integer;
  moment constant timestamptz := pgqueue.clock();
BEGIN
  FOR n IN 1 .. cardinality(queues) LOOP
    room := limits[n];
    FOR entry IN
      SELECT m.queue, m.lane, greatest(pg_sequence_last_value(m.mark), 1) AS v, p.pass = 1 AND m.lane <> l.lowest AS leaves
      FROM pgqueue.marks m JOIN pgqueue.queues q ON q.name = m.queue
      JOIN (SELECT count(*) AS lanes, CASE max(x.lane) WHEN 1 THEN 0 ELSE max(x.lane) END AS lowest
            FROM pgqueue.marks x WHERE x.queue = queues[n]) AS l ON true
      CROSS JOIN LATERAL generate_series(1, least(l.lanes, 2)) AS p (pass)
      WHERE m.queue = queues[n] AND q.paused_at IS NULL ORDER BY p.pass, m.lane <> 1, m.lane
    LOOP
      EXIT WHEN room <= 0;
      share := room - CASE WHEN entry.leaves THEN floor(room / 8.0 + random())::integer ELSE 0 END;
      CONTINUE WHEN share <= 0;
      RETURN QUERY
      WITH next AS MATERIALIZED (
        SELECT j.id FROM pgqueue.jobs j
        WHERE j.queue = entry.queue AND j.lane = entry.lane AND j.position >= entry.v AND j.claimed_by IS NULL
        ORDER BY j.position LIMIT share FOR NO KEY UPDATE SKIP LOCKED
      ), taken AS (
        UPDATE pgqueue.jobs j
        SET claimed_by = worker, claimed_at = moment, lease_until = moment + lease,
            claims = CASE WHEN j.claims < 2147483647 THEN j.claims + 1 ELSE -2147483648 END, attempt = least(j.attempt + 1, 32767)
        WHERE j.id = ANY (ARRAY(SELECT n.id FROM next n)) RETURNING j.*
      )
      SELECT t.id, t.queue, t.kind, t.payload_version, t.args::text, t.organization_id, t.user_id,
        t.correlation_id::text, t.trace_id::text, t.attempt, t.max_attempts, t.claims, t.crashes, t.refusals,
        t.cancel_requested, t.doomed, extract(epoch FROM t.enqueued_at)::double precision,
        extract(epoch FROM moment - coalesce(t.run_at, t.enqueued_at))::double precision,
        extract(epoch FROM t.expires_at - moment)::double precision
      FROM taken t ORDER BY t.position, t.id;
      GET DIAGNOSTICS taken = ROW_COUNT;
      room := room - taken;
    END LOOP;
  END LOOP;
END
$$

-- name: claim
SELECT * FROM pgqueue.claim(%(worker)s, %(queues)s, %(limits)s, %(lease)s)

-- name: heartbeat
-- Renews the leases this process still holds and says which of its jobs somebody wants cancelled.
-- SKIP LOCKED: a row that is being settled by its owner must not let the other leases expire.
WITH mine AS MATERIALIZED (
  SELECT j.id FROM pgqueue.jobs j
  JOIN unnest(%(ids)s::bigint[], %(claims)s::integer[]) AS held (id, claims) ON held.id = j.id AND held.claims = j.claims
  WHERE j.id = ANY (%(ids)s::bigint[]) AND j.claimed_by = %(worker)s ORDER BY j.id FOR NO KEY UPDATE OF j SKIP LOCKED
)
UPDATE pgqueue.jobs j SET lease_until = (SELECT pgqueue.clock()) + %(lease)s
WHERE j.id = ANY (ARRAY(SELECT m.id FROM mine m))
RETURNING j.id, j.cancel_requested

-- function: end_jobs
-- complete | cancel | discard: the row leaves `jobs`, and goes to finished_jobs if it is to be kept.
-- = ANY (ids) reads the key once, in id order, so two batches cannot deadlock and no statistics can make it read the
-- whole table. A nested loop would search the array anew for every row (seen: 11.5 instead of 3.5 µs a job).
CREATE OR REPLACE FUNCTION pgqueue.end_jobs(
  ids bigint[], fences integer[], moments text[], seconds double precision[], notes text[])
RETURNS bigint[] LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_nestloop = off
SET enable_mergejoin = off
AS $$
  WITH told AS MATERIALIZED (
    SELECT s.* FROM unnest(ids, fences, moments, seconds, notes) AS s (id, fence, moment, keep, note)
    WHERE s.moment IN ('complete', 'cancel', 'discard') ORDER BY s.id
  ), gone AS (
    DELETE FROM pgqueue.jobs j USING told t
    WHERE j.id = ANY (ids) AND j.id = t.id AND j.claims = t.fence AND j.claimed_by IS NOT NULL
    RETURNING j.*, t.moment AS verb, t.keep, t.note
  ), kept AS (
    INSERT INTO pgqueue.finished_jobs (keep_until, finished_at, id, state, reason, queue, kind, payload_version,
      organization_id, user_id, correlation_id, trace_id, attempt, max_attempts, crashes, claims, enqueued_at,
      run_at, started_at, worker_id, args, errors)
    SELECT c.moment + g.keep * interval '1 second', c.moment, g.id,
      CASE g.verb WHEN 'complete' THEN 'completed' WHEN 'cancel' THEN 'cancelled' ELSE 'discarded' END,
      g.note, g.queue, g.kind, g.payload_version, g.organization_id, g.user_id, g.correlation_id, g.trace_id,
      g.attempt, g.max_attempts, g.crashes, g.claims, g.enqueued_at, g.run_at, g.claimed_at, g.claimed_by, g.args, g.errors
    FROM gone g, (SELECT pgqueue.clock() AS moment) c WHERE g.keep > 0
  ), freed AS (
    INSERT INTO pgqueue.freed (permits, limits) SELECT array_agg(g.permit), array_agg(l)
    FROM gone g, unnest(g.limits) AS l WHERE g.permit IS NOT NULL HAVING count(*) > 0
  ) SELECT coalesce(array_agg(g.id), '{}') FROM gone g
$$

-- function: postpone_jobs
-- retry | snooze | give_back | refuse | crash: the position is cleared, promote gives a new one (at V for what was given
-- back, else a deploy would send jobs behind the whole backlog). Only retry keeps the attempt spent. A kind that
-- nobody here knows is refused with growing delay and parked after six rounds, until a worker knows it. A run that
-- ended by itself (retry, snooze) took no process down: crashes counts those in a row.
CREATE OR REPLACE FUNCTION pgqueue.postpone_jobs(
  ids bigint[], fences integer[], moments text[], seconds double precision[], notes text[])
RETURNS bigint[] LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_nestloop = off
SET enable_mergejoin = off
AS $$
  WITH told AS MATERIALIZED (
    SELECT s.*, s.moment = 'refuse' AS refused, c.now
    FROM unnest(ids, fences, moments, seconds, notes) AS s (id, fence, moment, delay, note),
         (SELECT pgqueue.clock() AS now) c
    WHERE s.moment IN ('retry', 'snooze', 'give_back', 'refuse', 'crash') ORDER BY s.id
  ), changed AS (
    UPDATE pgqueue.jobs j
    SET position = NULL, claimed_by = NULL, claimed_at = NULL, lease_until = NULL, front = (t.moment IN ('give_back', 'crash')),
        run_at = CASE WHEN t.refused AND j.refusals >= 5 THEN NULL ELSE t.now + t.delay * interval '1 second' END,
        hold = CASE WHEN t.refused AND j.refusals >= 5 THEN 'kind:' || j.kind || '@' || j.payload_version END,
        refusals = CASE WHEN t.refused THEN least(j.refusals + 1, 5) ELSE 0 END,
        attempt = CASE t.moment WHEN 'retry' THEN j.attempt ELSE greatest(j.attempt - 1, 0) END,
        crashes = CASE t.moment WHEN 'crash' THEN least(j.crashes + 1, 32767) WHEN 'retry' THEN 0 WHEN 'snooze' THEN 0 ELSE j.crashes END,
        errors = CASE WHEN t.moment IN ('retry', 'crash') THEN pgqueue.with_error(j.errors, t.note, j.attempt, t.now) ELSE j.errors END
    FROM told t WHERE j.id = ANY (ids) AND j.id = t.id AND j.claims = t.fence AND j.claimed_by IS NOT NULL
    RETURNING j.id, j.permit, j.limits
  ), freed AS (
    INSERT INTO pgqueue.freed (permits, limits) SELECT array_agg(c.permit), array_agg(l)
    FROM changed c, unnest(c.limits) AS l WHERE c.permit IS NOT NULL HAVING count(*) > 0
  ) SELECT coalesce(array_agg(c.id), '{}') FROM changed c
$$

-- function: with_error
-- The error history: every entry up to the 200th, which is more than a job's attempts, crashes and requeues make in an
-- honest life; beyond that the oldest goes. A traceback (up to 16 kB) is kept with the last 20 entries.
CREATE OR REPLACE FUNCTION pgqueue.with_error(history jsonb, note text, attempt integer, moment timestamptz)
RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT (CASE WHEN h.n >= 200 THEN h.trimmed - 0 ELSE h.trimmed END)
    || jsonb_build_array(jsonb_build_object('at', moment, 'attempt', attempt) || coalesce(note, '{}')::jsonb)
  FROM (SELECT l.n, CASE WHEN l.n < 20 THEN history ELSE history #- ARRAY[(l.n - 20)::text, 'trace'] END AS trimmed
        FROM (SELECT jsonb_array_length(history) AS n) l) h
$$

-- function: time_of
-- When an entry of the history was made; nothing if a person wrote what is no time.
CREATE OR REPLACE FUNCTION pgqueue.time_of(entry jsonb)
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (entry ->> 'at')::timestamptz;
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END
$$

-- function: bury_jobs
-- The job becomes a dead letter with its whole history, in one statement.
CREATE OR REPLACE FUNCTION pgqueue.bury_jobs(ids bigint[], fences integer[], moments text[], notes text[])
RETURNS bigint[] LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_nestloop = off
SET enable_mergejoin = off
AS $$
  WITH told AS MATERIALIZED (
    SELECT s.id, s.fence, s.note, s.note::jsonb AS why, c.now
    FROM unnest(ids, fences, moments, notes) AS s (id, fence, moment, note), (SELECT pgqueue.clock() AS now) c
    WHERE s.moment = 'bury' ORDER BY s.id
  ), gone AS (
    DELETE FROM pgqueue.jobs j USING told t
    WHERE j.id = ANY (ids) AND j.id = t.id AND j.claims = t.fence AND j.claimed_by IS NOT NULL RETURNING j.*, t.why, t.note, t.now
  ), dead AS (
    INSERT INTO pgqueue.dead_jobs (id, died_at, reason, error, error_type, fingerprint, queue, kind, payload_version,
      organization_id, user_id, correlation_id, trace_id, args, errors, attempt, max_attempts, crashes, claims, lane,
      enqueued_at, run_at, started_at, worker_id, unique_hash, limits, cost, requeued_at, requeued_by)
    SELECT g.id, g.now, g.why ->> 'reason', g.why ->> 'error', g.why ->> 'type', g.why ->> 'fingerprint',
      g.queue, g.kind, g.payload_version, g.organization_id, g.user_id, g.correlation_id, g.trace_id, g.args,
      pgqueue.with_error(g.errors, g.note, g.attempt, g.now), g.attempt, g.max_attempts,
      -- the last crash counts, too; that of a doomed job was counted by rescue
      least(g.crashes + (g.why ->> 'reason' = 'crashed' AND g.doomed IS NULL)::integer, 32767), g.claims, g.lane,
      g.enqueued_at, g.run_at, g.claimed_at, g.claimed_by, g.unique_hash, g.limits, g.cost,
      pgqueue.time_of(last.entry), last.entry ->> 'requeued_by'
    FROM gone g LEFT JOIN LATERAL (
      SELECT e.entry FROM jsonb_array_elements(g.errors) WITH ORDINALITY AS e (entry, n)
      WHERE e.entry ? 'requeued_by' ORDER BY e.n DESC LIMIT 1) AS last ON true
  ), freed AS (
    INSERT INTO pgqueue.freed (permits, limits) SELECT array_agg(g.permit), array_agg(l)
    FROM gone g, unnest(g.limits) AS l WHERE g.permit IS NOT NULL HAVING count(*) > 0
  ) SELECT coalesce(array_agg(g.id), '{}') FROM gone g
$$

-- function: settle
-- The one guard of every ending: (id, claims) must still be claimed. Returns what did NOT change, i.e. lost leases.
-- moments: complete | cancel | discard (seconds = how long the row is kept; note = reason),
-- retry | snooze | give_back | refuse | crash (seconds = delay; note = error entry), bury (note = error entry with reason).
CREATE OR REPLACE FUNCTION pgqueue.settle(
  ids bigint[], fences integer[], moments text[], seconds double precision[], notes text[])
RETURNS SETOF bigint LANGUAGE plpgsql VOLATILE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  settled bigint[] := '{}';
BEGIN
  IF moments && ARRAY['complete', 'cancel', 'discard'] THEN
    settled := pgqueue.end_jobs(ids, fences, moments, seconds, notes);
  END IF;
  IF moments && ARRAY['retry', 'snooze', 'give_back', 'refuse', 'crash'] THEN
    settled := settled || pgqueue.postpone_jobs(ids, fences, moments, seconds, notes);
  END IF;
  IF 'bury' = ANY (moments) THEN
    settled := settled || pgqueue.bury_jobs(ids, fences, moments, notes);
  END IF;
  IF cardinality(settled) < cardinality(ids) THEN
    RETURN QUERY SELECT i FROM unnest(ids) i EXCEPT SELECT s FROM unnest(settled) s;
  END IF;
END
$$

-- function: settle_batch
-- settle, for the worker's batches: a row that somebody else keeps locked (an open transaction that cancels it) must not
-- stop the others, nor the claim in the same message. busy: not settled yet, to be sent again; else the lease was lost.
CREATE OR REPLACE FUNCTION pgqueue.settle_batch(
  ids bigint[], fences integer[], moments text[], seconds double precision[], notes text[])
RETURNS TABLE (id bigint, busy boolean) LANGUAGE plpgsql VOLATILE ROWS 1
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET lock_timeout = '100ms'
AS $$
DECLARE
  free bigint[];
  held bigint[];
BEGIN
  BEGIN
    RETURN QUERY SELECT s, false FROM pgqueue.settle(ids, fences, moments, seconds, notes) s;
    RETURN;
  EXCEPTION WHEN lock_not_available THEN
    NULL;  -- nothing of the batch was changed
  END;
  free := ARRAY(SELECT j.id FROM pgqueue.jobs j WHERE j.id = ANY (ids) ORDER BY j.id FOR UPDATE SKIP LOCKED);
  held := ARRAY(SELECT j.id FROM unnest(ids, fences) AS t (id, fence)
                JOIN pgqueue.jobs j ON j.id = t.id AND j.claims = t.fence AND j.claimed_by IS NOT NULL
                WHERE j.id = ANY (ids) AND NOT t.id = ANY (free));
  RETURN QUERY SELECT h, true FROM unnest(held) h;
  RETURN QUERY
  SELECT s, false FROM (
    SELECT array_agg(t.id) AS ids, array_agg(t.fence) AS fences, array_agg(t.moment) AS moments,
           array_agg(t.sec) AS seconds, array_agg(t.note) AS notes
    FROM unnest(ids, fences, moments, seconds, notes) AS t (id, fence, moment, sec, note) WHERE NOT t.id = ANY (held)) r,
    LATERAL pgqueue.settle(r.ids, r.fences, r.moments, r.seconds, r.notes) s WHERE r.ids IS NOT NULL;
END
$$

-- name: settle_batch
SELECT b.id, b.busy FROM pgqueue.settle_batch(%(ids)s, %(claims)s, %(moments)s, %(seconds)s, %(notes)s) b

-- name: settle
SELECT pgqueue.settle(%(ids)s, %(claims)s, %(moments)s, %(seconds)s, %(notes)s) AS lost
