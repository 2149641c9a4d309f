-- What keeps the queue healthy while jobs run: workers, rescue, the nets, days of finished_jobs, prune.
-- Nothing here decodes arguments, and nothing here runs as a job.

-- name: register
INSERT INTO pgqueue.workers (id, host, pid, version, queues, kinds, concurrency)
VALUES (%(worker)s, %(host)s, %(pid)s, %(version)s, %(queues)s, %(kinds)s, %(concurrency)s)

-- name: add_queues
SELECT pgqueue.add_queue(q) FROM unnest(%(queues)s::text[]) AS q
WHERE NOT EXISTS (SELECT FROM pgqueue.marks m WHERE m.queue = q AND m.lane = 0)

-- name: unpark
-- Jobs parked because nobody knew their kind: this worker does.
UPDATE pgqueue.jobs j SET hold = NULL, refusals = 0, run_at = (SELECT pgqueue.clock())
WHERE j.hold = ANY (%(holds)s)

-- name: unpark_known
-- Workers of an older version may park jobs whose kind a newer one knows: as long as that one lives, they go on.
UPDATE pgqueue.jobs j SET hold = NULL, refusals = 0, run_at = (SELECT pgqueue.clock())
WHERE j.hold = ANY (ARRAY(SELECT DISTINCT 'kind:' || k FROM pgqueue.workers w, unnest(w.kinds) AS k
                          WHERE w.heartbeat_at > (SELECT pgqueue.clock()) - %(age)s))

-- name: beat
-- The worker's own row, for people and dashboards; liveness of a job is its lease, never this row.
-- SKIP LOCKED: whoever has the row locked must not keep the process from renewing its leases.
UPDATE pgqueue.workers SET heartbeat_at = (SELECT pgqueue.clock()), running = %(running)s, draining = %(draining)s,
  queues = %(queues)s
WHERE id = (SELECT w.id FROM pgqueue.workers w WHERE w.id = %(worker)s FOR NO KEY UPDATE SKIP LOCKED)

-- name: deregister
DELETE FROM pgqueue.workers WHERE id = %(worker)s

-- name: take_turn
SELECT pgqueue.take_turn('upkeep', %(token)s, %(term)s) AS token

-- name: leave_turn
SELECT pgqueue.leave_turn(%(role)s, %(token)s) AS left_it

-- name: running_between
-- Rescue has no index of its own (claims must stay HOT): each range of positions is read once.
SELECT j.id, j.claims, j.position FROM pgqueue.jobs j
WHERE j.queue = %(queue)s AND j.lane = %(lane)s AND j.position >= %(low)s AND j.position < %(high)s
  AND j.claimed_by IS NOT NULL
ORDER BY j.position LIMIT %(limit)s

-- name: marks
SELECT m.queue, m.lane, greatest(pg_sequence_last_value(m.mark), 1) AS v,
       coalesce(pg_sequence_last_value(m.head), 0) AS head
FROM pgqueue.marks m ORDER BY m.queue, m.lane

-- name: lost_leases
-- Of the jobs seen running before: which are still the same claim, and which of those have lost their lease?
SELECT j.id, j.claims, j.lease_until < (SELECT pgqueue.clock()) AS lost
FROM unnest(%(ids)s::bigint[], %(claims)s::integer[]) AS seen (id, claims)
JOIN pgqueue.jobs j ON j.id = seen.id AND j.claims = seen.claims
WHERE j.id = ANY (%(ids)s::bigint[]) AND j.claimed_by IS NOT NULL

-- name: rescue
-- The worker is gone: the crash counts (not the attempt), the job goes to the front; the third crash dooms it:
-- a worker that knows the kind claims it once more, only to bury it with its on_dead.
WITH gone AS MATERIALIZED (
  SELECT j.id FROM unnest(%(ids)s::bigint[], %(claims)s::integer[]) AS seen (id, claims)
  JOIN pgqueue.jobs j ON j.id = seen.id AND j.claims = seen.claims
  WHERE j.id = ANY (%(ids)s::bigint[]) AND j.claimed_by IS NOT NULL AND j.lease_until < (SELECT pgqueue.clock())
  ORDER BY j.id FOR NO KEY UPDATE OF j SKIP LOCKED
), rescued AS (
UPDATE pgqueue.jobs j
SET position = NULL, claimed_by = NULL, claimed_at = NULL, lease_until = NULL, front = true,
    attempt = greatest(j.attempt - 1, 0), crashes = least(j.crashes + 1, 32767),
    doomed = CASE WHEN j.crashes + 1 >= %(max_crashes)s THEN 'crashed' ELSE j.doomed END,
    -- The first rescue is immediate; later ones are spread, so that a poison job does not take workers in a row.
    run_at = (SELECT pgqueue.clock()) + j.crashes * (1 + random()) * interval '1 second' * %(backoff)s,
    errors = pgqueue.with_error(j.errors, jsonb_build_object('type', 'WorkerLost', 'error',
      'the worker ' || j.claimed_by || ' stopped renewing its lease')::text, j.attempt, (SELECT pgqueue.clock()))
WHERE j.id = ANY (ARRAY(SELECT g.id FROM gone g))
RETURNING j.id, j.queue, j.kind, j.crashes, j.permit, j.limits
), freed AS (
  INSERT INTO pgqueue.freed (permits, limits) SELECT array_agg(r.permit), array_agg(l)
  FROM rescued r, unnest(r.limits) AS l WHERE r.permit IS NOT NULL HAVING count(*) > 0
)
SELECT r.id, r.queue, r.kind, r.crashes FROM rescued r

-- name: sweep_outbox
-- The net below the outbox's mark; finds nothing unless the mark was ever wrong.
SELECT lane, array_agg(id) AS ids FROM (
  SELECT o.lane, o.id FROM pgqueue.outbox o
  WHERE o.lane = 0 AND o.id <= (SELECT coalesce(pg_sequence_last_value('pgqueue.outbox_mark_single'), 0))
  UNION ALL SELECT o.lane, o.id FROM pgqueue.outbox o
  WHERE o.lane = 1 AND o.id <= (SELECT coalesce(pg_sequence_last_value('pgqueue.outbox_mark_bulk'), 0))
  LIMIT 1000) AS below GROUP BY lane

-- function: hold_turn
-- Keeps everybody else out of a role until this transaction ends. Whoever gives positions must hold the relay's:
-- a mark that is published while another session's positions are uncommitted would pass them.
CREATE OR REPLACE FUNCTION pgqueue.hold_turn(role text)
RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms'
AS $$
BEGIN
  PERFORM FROM pgqueue.turns t WHERE t.name = hold_turn.role FOR UPDATE;
  RETURN FOUND;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END
$$

-- function: sweep_move
-- What sweep_outbox found becomes jobs, as the relay would have done it.
CREATE OR REPLACE FUNCTION pgqueue.sweep_move(from_lane smallint, ids bigint[])
RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
BEGIN
  IF NOT pgqueue.hold_turn('relay') THEN RETURN 0; END IF;
  RETURN (SELECT cardinality(p.moved) FROM pgqueue.relay_pass(
    CASE WHEN from_lane = 0 THEN ids ELSE '{}' END, CASE WHEN from_lane = 1 THEN ids ELSE '{}' END, '{}', '{}') p);
END
$$

-- name: sweep_move
SELECT pgqueue.sweep_move(%(lane)s::smallint, %(ids)s) AS moved

-- function: sweep_ready
-- The net below V: an unclaimed, unpinned job there would never be claimed. It gets a new position through promote.
-- V is read before the rows are: a V newer than the snapshot would pass claims and pins that it does not show.
CREATE OR REPLACE FUNCTION pgqueue.sweep_ready()
RETURNS SETOF bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  entry record;
BEGIN
  FOR entry IN
    SELECT m.queue, m.lane, greatest(pg_sequence_last_value(m.mark), 1) AS v FROM pgqueue.marks m
  LOOP
    RETURN QUERY
    WITH moved AS (
    UPDATE pgqueue.jobs j SET position = NULL, run_at = (SELECT pgqueue.clock()), front = true
    FROM (
      SELECT b.id FROM pgqueue.jobs b
      WHERE b.queue = entry.queue AND b.lane = entry.lane AND b.position < entry.v AND b.claimed_by IS NULL
        AND NOT EXISTS (SELECT FROM pgqueue.pins p WHERE p.job_id = b.id AND p.position = b.position)
      LIMIT 1000 FOR NO KEY UPDATE OF b SKIP LOCKED) AS below
    WHERE j.id = below.id RETURNING j.id, j.permit, j.limits
    ), freed AS (
      INSERT INTO pgqueue.freed (permits, limits) SELECT array_agg(m.permit), array_agg(l)
      FROM moved m, unnest(m.limits) AS l WHERE m.permit IS NOT NULL HAVING count(*) > 0
    )
    SELECT m.id FROM moved m;
  END LOOP;
END
$$

-- name: sweep_ready
SELECT pgqueue.sweep_ready() AS id

-- function: sweep_waiting
-- The net below promote's mark. It gives positions, so it stands in the relay's place while it does.
CREATE OR REPLACE FUNCTION pgqueue.sweep_waiting()
RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT pgqueue.hold_turn('relay') THEN RETURN 0; END IF;
  RETURN (SELECT count(*) FROM pgqueue.promote(1000, true));
END
$$

-- name: sweep_waiting
SELECT pgqueue.sweep_waiting() AS promoted

-- function: make_days
-- Partitions of finished_jobs for the days to come. Rows that a longer retention put into the DEFAULT partition
-- move into their day when it is made.
CREATE OR REPLACE FUNCTION pgqueue.make_days(days integer)
RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
  today constant date := (pgqueue.clock() AT TIME ZONE 'UTC')::date;
  day date;
  part text;
  made integer := 0;
BEGIN
  FOR n IN 0 .. days LOOP
    day := today + n;
    part := 'finished_jobs_' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass(format('pgqueue.%I', part)) IS NOT NULL;
    EXECUTE format('CREATE TABLE pgqueue.%I (LIKE pgqueue.finished_jobs INCLUDING ALL)', part);
    EXECUTE format('WITH moved AS (DELETE FROM pgqueue.finished_jobs_later WHERE keep_until >= %L AND keep_until < %L
                    RETURNING *) INSERT INTO pgqueue.%I SELECT * FROM moved', day || ' 00:00Z', (day + 1) || ' 00:00Z', part);
    EXECUTE format('ALTER TABLE pgqueue.finished_jobs ATTACH PARTITION pgqueue.%I FOR VALUES FROM (%L) TO (%L)',
                   part, day || ' 00:00Z', (day + 1) || ' 00:00Z');
    made := made + 1;
  END LOOP;
  RETURN made;
END
$$

-- function: drop_days
-- A day that has passed goes as a whole. DETACH … CONCURRENTLY is refused by PostgreSQL beside a DEFAULT partition,
-- so this is a plain DROP with a short lock_timeout: when it has to wait, the next round tries again.
CREATE OR REPLACE FUNCTION pgqueue.drop_days()
RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
  today constant text := to_char(pgqueue.clock() AT TIME ZONE 'UTC', 'YYYYMMDD');
  part text;
  dropped integer := 0;
BEGIN
  FOR part IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'pgqueue.finished_jobs'::regclass AND c.relname ~ '^finished_jobs_[0-9]{8}$'
      AND right(c.relname, 8) < today ORDER BY 1
  LOOP
    EXECUTE format('DROP TABLE pgqueue.%I', part);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END
$$

-- name: make_days
SELECT pgqueue.make_days(%(days)s) AS made

-- name: drop_days
SELECT pgqueue.drop_days() AS dropped

-- name: prune
-- What is kept longer than the days made ahead stands in the DEFAULT partition and goes row by row.
DELETE FROM pgqueue.finished_jobs_later f WHERE f.ctid = ANY (ARRAY(
  SELECT l.ctid FROM pgqueue.finished_jobs_later l WHERE l.keep_until < (SELECT pgqueue.clock())
  LIMIT 1000 FOR UPDATE SKIP LOCKED))
RETURNING f.id

-- name: prune_dead
-- Dead letters that nobody handled in the time that their kind gives them; without such a time they stay.
DELETE FROM pgqueue.dead_jobs d WHERE d.id = ANY (ARRAY(
  SELECT o.id FROM unnest(%(kinds)s::text[], %(seconds)s::float8[]) AS k (kind, seconds), LATERAL (
    SELECT x.id FROM pgqueue.dead_jobs x
    WHERE x.kind = k.kind AND x.died_at < (SELECT pgqueue.clock()) - k.seconds * interval '1 second'
    ORDER BY x.died_at LIMIT 1000 FOR UPDATE SKIP LOCKED) AS o
  LIMIT 1000))
RETURNING d.id

-- name: prune_workers
-- Rows of processes that died without a word. Safe at any time: leases stand on the jobs, not here.
DELETE FROM pgqueue.workers w WHERE w.heartbeat_at < (SELECT pgqueue.clock()) - %(age)s RETURNING w.id

-- name: notification_usage
-- Calling this also lets PostgreSQL clean a notification queue that a stopped listener had filled.
SELECT pg_notification_queue_usage() AS usage

-- name: sample
-- Figures for metrics: never counted on the hot path. An entry that left the code of all workers is nobody's miss.
SELECT 'dead', d.kind, d.queue, count(*)::float8 FROM pgqueue.dead_jobs d GROUP BY d.kind, d.queue
UNION ALL SELECT 'pins', '', '', count(*) FROM pgqueue.pins
UNION ALL (
  SELECT 'breaker', b.dependency, b.host, CASE b.state WHEN 'closed' THEN 0 WHEN 'half_open' THEN 1 ELSE 2 END
  FROM pgqueue.breakers b ORDER BY b.state = 'closed', b.changed_at DESC LIMIT %(most)s)
UNION ALL SELECT 'raised', a.rule, '', count(*) FROM pgqueue.alerts a WHERE a.raised_at IS NOT NULL GROUP BY a.rule
UNION ALL (
  SELECT 'overdue', s.name, '', greatest(extract(epoch FROM n.now - coalesce(s.next_run_at, s.changed_at)), 0)::float8
  FROM pgqueue.schedules s, (SELECT pgqueue.clock() AS now OFFSET 0) AS n
  WHERE s.paused_at IS NULL AND (s.source = 'added' OR s.listed_at > n.now - %(stale)s::interval)
  ORDER BY 4 DESC, 2 LIMIT %(most)s)

-- name: stamp
SELECT s.version, s.least_worker FROM pgqueue.stamp s

-- name: carried_as
-- Under which name this database is the source of another queue, if it is.
SELECT s.carried_as FROM pgqueue.stamp s

-- name: sequence_cache
SELECT s.cache_size FROM pg_catalog.pg_sequences s
WHERE format('%%I.%%I', s.schemaname, s.sequencename)::regclass = 'pgqueue.job_ids'::regclass

-- name: work_left
-- For --until-empty: is there anything in these queues that could run now, or is running elsewhere?
SELECT EXISTS (SELECT FROM pgqueue.outbox o WHERE o.lane IN (0, 1) AND o.queue = ANY (%(queues)s)
               AND coalesce(o.run_at, o.enqueued_at + coalesce(o.delay, interval '0')) <= (SELECT pgqueue.clock()))
    OR EXISTS (SELECT FROM pgqueue.jobs j WHERE j.run_at IS NOT NULL AND j.position IS NULL
               AND j.run_at <= (SELECT pgqueue.clock()) AND j.queue = ANY (%(queues)s))
    OR EXISTS (SELECT FROM pgqueue.jobs h WHERE h.hold >= 'unique:' AND h.hold < 'unique;' AND h.queue = ANY (%(queues)s)
               AND (h.not_before <= (SELECT pgqueue.clock())) IS NOT FALSE
               AND NOT EXISTS (SELECT FROM pgqueue.jobs l WHERE l.unique_hash = decode(substr(h.hold, 8), 'hex') OFFSET 0))
    OR EXISTS (SELECT FROM pgqueue.jobs j JOIN pgqueue.queues q ON q.name = j.queue
               WHERE j.queue = ANY (%(queues)s) AND j.position IS NOT NULL AND (q.paused_at IS NULL OR j.claimed_by IS NOT NULL))
    OR EXISTS (SELECT FROM pgqueue.jobs j JOIN pgqueue.queues q ON q.name = j.queue AND q.paused_at IS NULL
               WHERE j.hold >= 'limit:' AND j.hold < 'limit;' AND j.queue = ANY (%(queues)s)) AS left

-- name: surroundings
SELECT current_setting('default_transaction_isolation') AS isolation, pg_is_in_recovery() AS standby

-- name: backend
SELECT pg_backend_pid() AS pid

-- name: end_backend
-- For an on_dead that does not end: its transaction keeps the job's row locked.
SELECT pg_terminate_backend(%(pid)s) AS ended
