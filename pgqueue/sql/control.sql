-- What people do to jobs and queues, and what they look at.

-- function: cancel
-- Wherever the job stands: in the outbox, waiting, held or ready it is cancelled at once; a running one is asked
-- to stop (its worker learns it with the next heartbeat). A statement that had to wait for a claim, a settlement or
-- the relay finds the row gone from where its snapshot showed it; so it looks again, with a new snapshot.
CREATE OR REPLACE FUNCTION pgqueue.cancel(job bigint, keep interval, reason text)
RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  result text;
BEGIN
  FOR look IN 1 .. 4 LOOP
    WITH waiting AS (
      DELETE FROM pgqueue.jobs j WHERE j.id = cancel.job AND j.claimed_by IS NULL RETURNING j.*
    ), enqueued AS (
      DELETE FROM pgqueue.outbox o WHERE o.lane IN (0, 1) AND o.id = cancel.job RETURNING o.*
    ), asked AS (
      UPDATE pgqueue.jobs j SET cancel_requested = true
      WHERE j.id = cancel.job AND j.claimed_by IS NOT NULL RETURNING j.id
    ), finished AS (
      INSERT INTO pgqueue.finished_jobs (keep_until, finished_at, id, state, reason, queue, kind, payload_version,
        organization_id, user_id, correlation_id, trace_id, attempt, max_attempts, crashes, claims, enqueued_at, run_at,
        args, errors)
      SELECT n.now + cancel.keep, n.now, c.id, 'cancelled', cancel.reason, c.queue, c.kind, c.payload_version,
        c.organization_id, c.user_id, c.correlation_id, c.trace_id, c.attempt, c.max_attempts, c.crashes, c.claims,
        c.enqueued_at, c.run_at, c.args, c.errors
      FROM (SELECT w.id, w.queue, w.kind, w.payload_version, w.organization_id, w.user_id, w.correlation_id, w.trace_id,
                   w.attempt, w.max_attempts, w.crashes, w.claims, w.enqueued_at, w.run_at, w.args, w.errors FROM waiting w
            UNION ALL
            SELECT e.id, e.queue, e.kind, e.payload_version, e.organization_id, e.user_id, e.correlation_id, e.trace_id,
                   0, e.max_attempts, 0, 0, e.enqueued_at, coalesce(e.run_at, e.enqueued_at + e.delay), e.args, '[]'
            FROM enqueued e) AS c, (SELECT pgqueue.clock() AS now) AS n
    ), freed AS (
      INSERT INTO pgqueue.freed (permits, limits) SELECT array_agg(w.permit), array_agg(l)
      FROM waiting w, unnest(w.limits) AS l WHERE w.permit IS NOT NULL AND w.position IS NOT NULL HAVING count(*) > 0
    )
    SELECT 'cancelled' INTO result FROM waiting UNION ALL SELECT 'cancelled' FROM enqueued UNION ALL SELECT 'asked' FROM asked;
    EXIT WHEN result IS NOT NULL;
  END LOOP;
  -- Its work is done by another job, which somebody else may have wanted as well.
  IF result IS NULL AND EXISTS (SELECT FROM pgqueue.merged_jobs m WHERE m.id = cancel.job) THEN RETURN 'merged'; END IF;
  RETURN result;
END
$$

-- name: cancel
-- Noted as an action only if somebody says that it was theirs (``by``): a program may cancel by the thousand.
WITH done AS MATERIALIZED (
  SELECT pgqueue.cancel(%(id)s, %(keep)s, %(reason)s) AS result
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, reason, affected)
  SELECT left(%(by)s::text, 200), 'cancel', 'job ' || %(id)s::text, %(reason)s, 1 FROM done d
  WHERE d.result IN ('cancelled', 'asked') AND %(by)s::text <> ''
)
SELECT d.result FROM done d

-- name: requeue
-- A dead job lives again, with a fresh budget of attempts. `claims` goes on counting: it is the fence.
-- One that was buried as poison stays a suspect: it runs alone in a child, and has one crash less to go.
-- The max_age of its kind is not in the row, so it may be snoozed for as long as a kind that says nothing.
-- A job whose hash is live again stays dead. A hash is given by the relay alone, so whoever has one is held until the
-- relay comes by: should another job of it have come in meanwhile, that one ends first.
-- spacing: so much later than the one before it (a rate); placed: how many of the same act came before these.
WITH asked AS (
  SELECT d.id, d.unique_hash, 'unique:' || encode(d.unique_hash, 'hex') AS hold,
         row_number() OVER (PARTITION BY d.unique_hash ORDER BY d.id) AS place,
         (SELECT pgqueue.clock()) + (%(placed)s::bigint + array_position(%(ids)s::bigint[], d.id) - 1) * %(spacing)s::interval AS due
  FROM pgqueue.dead_jobs d WHERE d.id = ANY (%(ids)s)
), risen AS (
  DELETE FROM pgqueue.dead_jobs d USING asked a
  WHERE d.id = ANY (%(ids)s) AND d.id = a.id AND (a.unique_hash IS NULL OR a.place = 1
    AND NOT EXISTS (SELECT FROM pgqueue.jobs j WHERE j.unique_hash = a.unique_hash OFFSET 0)
    AND NOT EXISTS (SELECT FROM pgqueue.jobs j WHERE j.hold = a.hold OFFSET 0))
  RETURNING d.*, a.hold, a.due
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), 'requeue', 'dead letters', %(filter)s::text::jsonb, count(*) FROM risen HAVING count(*) > 0
)
INSERT INTO pgqueue.jobs (id, enqueued_at, run_at, not_before, expires_at, claims, crashes, max_attempts,
  payload_version, lane, correlation_id, trace_id, queue, kind, organization_id, user_id, hold, limits, cost, args, errors)
SELECT r.id, r.enqueued_at, CASE WHEN r.hold IS NULL THEN r.due END, CASE WHEN r.hold IS NOT NULL THEN r.due END,
  r.due + interval '7 days', r.claims, (r.reason = 'crashed')::integer, r.max_attempts,
  r.payload_version, r.lane, r.correlation_id, r.trace_id, r.queue, r.kind, r.organization_id, r.user_id, r.hold, r.limits, r.cost, r.args,
  pgqueue.with_error(r.errors, jsonb_build_object('requeued_by', %(by)s::text)::text, r.attempt, (SELECT pgqueue.clock()))
FROM risen r ORDER BY r.id RETURNING id

-- name: discard_dead
-- Nobody wants the dead job any more: it ends as discarded, with who said so.
WITH gone AS (
  DELETE FROM pgqueue.dead_jobs d WHERE d.id = ANY (%(ids)s) RETURNING d.*
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, reason, filter, affected)
  SELECT left(%(by)s::text, 200), 'discard', 'dead letters', %(reason)s, %(filter)s::text::jsonb, count(*) FROM gone HAVING count(*) > 0
)
INSERT INTO pgqueue.finished_jobs (keep_until, finished_at, id, state, reason, queue, kind, payload_version,
  organization_id, user_id, correlation_id, trace_id, attempt, max_attempts, crashes, claims, enqueued_at, run_at,
  started_at, worker_id, args, errors)
SELECT n.now + %(keep)s, n.now, g.id, 'discarded', %(reason)s, g.queue, g.kind, g.payload_version, g.organization_id,
  g.user_id, g.correlation_id, g.trace_id, g.attempt, g.max_attempts, g.crashes, g.claims, g.enqueued_at, g.run_at,
  g.started_at, g.worker_id, g.args,
  pgqueue.with_error(g.errors, jsonb_build_object('discarded_by', %(by)s::text)::text, g.attempt, n.now)
FROM gone g, (SELECT pgqueue.clock() AS now) AS n RETURNING id

-- name: know_queue
-- A queue whose first jobs still stand in the outbox: no relay has made its row yet, and people may steer it already.
INSERT INTO pgqueue.queues (name)
SELECT o.queue FROM pgqueue.outbox o
WHERE NOT EXISTS (SELECT FROM pgqueue.queues q WHERE q.name = %(queue)s) AND o.lane IN (0, 1) AND o.queue = %(queue)s
LIMIT 1 ON CONFLICT DO NOTHING

-- name: pause
WITH paused AS (
  UPDATE pgqueue.queues q SET paused_at = coalesce(q.paused_at, n.now), paused_by = %(by)s::text,
    resume_at = n.now + %(duration)s::interval
  FROM (SELECT pgqueue.clock() AS now OFFSET 0) AS n
  WHERE q.name = %(queue)s RETURNING q.name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), 'pause', 'queue ' || p.name, jsonb_strip_nulls(jsonb_build_object('for', %(duration)s::interval)), 1
  FROM paused p
)
SELECT p.name FROM paused p

-- name: resume
WITH resumed AS (
  UPDATE pgqueue.queues q SET paused_at = NULL, paused_by = NULL, resume_at = NULL
  WHERE q.name = %(queue)s AND q.paused_at IS NOT NULL RETURNING q.name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'resume', 'queue ' || r.name, 1 FROM resumed r
)
SELECT q.name FROM pgqueue.queues q WHERE q.name = %(queue)s

-- name: wake
-- Only a hint: nothing is believed from it, polling is the floor.
SELECT pg_notify(%(channel)s, %(payload)s)

-- name: find_jobs
-- Newest first, over everything that is still kept. Each part of the view is read backwards along its key, so the
-- limit bounds the work; only the outbox, which the relay keeps short, is sorted.
SELECT a.id, a.state, a.queue, a.kind, a.organization_id, a.user_id, a.correlation_id, a.attempt, a.max_attempts,
  a.run_at, a.enqueued_at, a.started_at, a.finished_at, a.worker_id, a.reason,
  extract(epoch FROM n.now - a.enqueued_at)::float8, extract(epoch FROM a.run_at - n.now)::float8
FROM pgqueue.all_jobs a, (SELECT pgqueue.clock() AS now OFFSET 0) AS n
WHERE (%(queue)s::text IS NULL OR a.queue = %(queue)s)
  AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
  AND (%(states)s::text[] IS NULL OR a.state = ANY (%(states)s))
  AND (%(organization_id)s::text IS NULL OR a.organization_id = %(organization_id)s)
  AND (%(correlation_id)s::uuid IS NULL OR a.correlation_id = %(correlation_id)s)
ORDER BY a.id DESC LIMIT %(limit)s

-- name: show_job
SELECT a.id, a.state, a.queue, a.kind, a.payload_version, a.organization_id, a.user_id, a.correlation_id, a.trace_id,
  a.attempt, a.max_attempts, a.crashes, a.run_at, a.enqueued_at, a.started_at, a.finished_at, a.worker_id, a.reason,
  a.args::text, a.errors::text
FROM pgqueue.all_jobs a WHERE a.id = %(id)s

-- name: find_dead
-- The last to die first.
SELECT d.id, d.died_at, d.reason, d.queue, d.kind, d.organization_id, d.user_id, d.correlation_id, d.attempt, d.crashes,
  d.error_type, left(d.error, 1000), d.fingerprint, d.requeued_by,
  extract(epoch FROM (SELECT pgqueue.clock()) - d.died_at)::float8
FROM pgqueue.dead_jobs d
WHERE (%(queue)s::text IS NULL OR d.queue = %(queue)s)
  AND (%(kind)s::text IS NULL OR d.kind = %(kind)s)
  AND (%(organization_id)s::text IS NULL OR d.organization_id = %(organization_id)s)
  AND (%(correlation_id)s::uuid IS NULL OR d.correlation_id = %(correlation_id)s)
  AND (%(reason)s::text IS NULL OR d.reason = %(reason)s)
  AND (%(fingerprint)s::text IS NULL OR starts_with(d.fingerprint, %(fingerprint)s))
  AND (%(since)s::interval IS NULL OR d.died_at > (SELECT pgqueue.clock()) - %(since)s::interval)
ORDER BY d.died_at DESC, d.id DESC LIMIT %(limit)s

-- name: dead_ids
-- What a requeue or discard by filter works on: a page along the key. What dies after it began is not its business,
-- or a job that dies again at once would be requeued for ever.
SELECT d.id FROM pgqueue.dead_jobs d
WHERE d.id > %(after)s AND d.died_at <= %(until)s
  AND (%(queue)s::text IS NULL OR d.queue = %(queue)s)
  AND (%(kind)s::text IS NULL OR d.kind = %(kind)s)
  AND (%(organization_id)s::text IS NULL OR d.organization_id = %(organization_id)s)
  AND (%(correlation_id)s::uuid IS NULL OR d.correlation_id = %(correlation_id)s)
  AND (%(reason)s::text IS NULL OR d.reason = %(reason)s)
  AND (%(fingerprint)s::text IS NULL OR starts_with(d.fingerprint, %(fingerprint)s))
  AND (%(since)s::interval IS NULL OR d.died_at > %(until)s::timestamptz - %(since)s::interval)
ORDER BY d.id LIMIT %(limit)s

-- name: still_dead
SELECT d.id FROM pgqueue.dead_jobs d WHERE d.id = ANY (%(ids)s) ORDER BY d.id

-- name: show_dead
SELECT d.id, d.died_at, d.reason, d.error, d.error_type, d.fingerprint, d.queue, d.kind, d.payload_version,
  d.organization_id, d.user_id, d.correlation_id, d.trace_id, d.attempt, d.max_attempts, d.crashes, d.enqueued_at,
  d.run_at, d.started_at, d.worker_id, d.requeued_at, d.requeued_by, d.args::text, d.errors::text
FROM pgqueue.dead_jobs d WHERE d.id = %(id)s

-- name: dead_by_error
SELECT coalesce(g.error_type, 'unknown') || ' in ' || g.kind || ' #' || coalesce(left(g.fingerprint, 12), '-'),
  g.jobs, g.first_died_at, g.last_died_at, g.sample_id, g.sample_error
FROM pgqueue.dead_by_error g ORDER BY g.jobs DESC, g.last_died_at DESC LIMIT %(limit)s

-- name: dead_by_kind
SELECT g.kind, g.jobs, g.first_died_at, g.last_died_at, g.sample_id, g.sample_error
FROM pgqueue.dead_by_kind g ORDER BY g.jobs DESC, g.last_died_at DESC LIMIT %(limit)s

-- name: dead_by_organization
SELECT g.organization_id, g.jobs, g.first_died_at, g.last_died_at, g.sample_id, g.sample_error
FROM pgqueue.dead_by_organization g ORDER BY g.jobs DESC, g.last_died_at DESC LIMIT %(limit)s

-- name: now
SELECT pgqueue.clock()

-- name: queue_stats
-- Nothing is counted further than `most` rows of a sort; `at_least` says that a figure was cut off there.
-- Running jobs have the lowest positions, so a long backlog does not hide them.
WITH entered AS MATERIALIZED (
  SELECT o.queue FROM pgqueue.outbox o LIMIT %(most)s
), waiting AS MATERIALIZED (
  SELECT j.queue FROM pgqueue.jobs j WHERE j.run_at IS NOT NULL AND j.position IS NULL LIMIT %(most)s
), held AS MATERIALIZED (
  SELECT j.queue FROM pgqueue.jobs j WHERE j.hold IS NOT NULL LIMIT %(most)s
), dead AS MATERIALIZED (
  SELECT d.queue FROM pgqueue.dead_jobs d LIMIT %(most)s
), placed AS MATERIALIZED (
  SELECT m.queue, m.lane, p.running, p.since FROM pgqueue.marks m CROSS JOIN LATERAL (
    SELECT j.claimed_by IS NOT NULL AS running, coalesce(j.run_at, j.enqueued_at) AS since FROM pgqueue.jobs j
    WHERE j.queue = m.queue AND j.lane = m.lane AND j.position IS NOT NULL ORDER BY j.position LIMIT %(most)s) AS p
), counts AS (
  SELECT s.queue, count(*) FILTER (WHERE s.state = 'enqueued') AS enqueued,
    count(*) FILTER (WHERE s.state = 'waiting') AS waiting, count(*) FILTER (WHERE s.state = 'held') AS held,
    count(*) FILTER (WHERE s.state = 'ready') AS ready, count(*) FILTER (WHERE s.state = 'running') AS running,
    count(*) FILTER (WHERE s.state = 'dead') AS dead, min(s.since) FILTER (WHERE s.state = 'ready') AS oldest
  FROM (SELECT e.queue, 'enqueued' AS state, NULL::timestamptz AS since FROM entered e
        UNION ALL SELECT w.queue, 'waiting', NULL FROM waiting w
        UNION ALL SELECT h.queue, 'held', NULL FROM held h
        UNION ALL SELECT d.queue, 'dead', NULL FROM dead d
        UNION ALL SELECT p.queue, CASE WHEN p.running THEN 'running' ELSE 'ready' END, p.since FROM placed p) AS s
  GROUP BY s.queue
), cut AS (
  SELECT (SELECT count(*) FROM entered) >= %(most)s OR (SELECT count(*) FROM waiting) >= %(most)s
      OR (SELECT count(*) FROM held) >= %(most)s OR (SELECT count(*) FROM dead) >= %(most)s AS everywhere
)
SELECT coalesce(q.name, c.queue), q.paused_at, q.paused_by, q.resume_at, q.workers, q.workers_by, q.workers_at,
  coalesce(c.enqueued, 0), coalesce(c.waiting, 0),
  coalesce(c.held, 0), coalesce(c.ready, 0), coalesce(c.running, 0), coalesce(c.dead, 0),
  extract(epoch FROM n.now - c.oldest)::float8,
  (SELECT count(*) FROM pgqueue.workers w
   WHERE coalesce(q.name, c.queue) = ANY (w.queues) AND w.heartbeat_at > n.now - %(silent)s),
  cut.everywhere OR EXISTS (SELECT FROM placed p WHERE p.queue = q.name GROUP BY p.lane HAVING count(*) >= %(most)s)
FROM pgqueue.queues q FULL JOIN counts c ON c.queue = q.name, cut, (SELECT pgqueue.clock() AS now) AS n
ORDER BY 1

-- name: queue_names
SELECT q.name FROM pgqueue.queues q
UNION SELECT o.queue FROM (SELECT x.queue FROM pgqueue.outbox x LIMIT 10000) AS o ORDER BY 1

-- name: worker_list
SELECT w.id, w.host, w.pid, w.version, w.queues, w.kinds, w.concurrency, w.running, w.draining, w.asked, w.started_at,
  w.heartbeat_at, extract(epoch FROM n.now - w.started_at)::float8, extract(epoch FROM n.now - w.heartbeat_at)::float8,
  w.heartbeat_at < n.now - %(silent)s
FROM pgqueue.workers w, (SELECT pgqueue.clock() AS now) AS n ORDER BY w.started_at, w.id

-- name: unknown_kinds
-- parked: given back too often, waits for a worker that knows the kind; refused: on its way there;
-- unserved: due, and no living worker of its queue lists the kind.
WITH alive AS MATERIALIZED (
  SELECT w.queues, w.kinds FROM pgqueue.workers w WHERE w.heartbeat_at > (SELECT pgqueue.clock()) - %(silent)s
), parked AS (
  SELECT 'parked' AS why, j.kind, j.payload_version, j.id FROM pgqueue.jobs j
  WHERE j.hold >= 'kind:' AND j.hold < 'kind;' LIMIT %(most)s
), refused AS (
  SELECT 'refused', w.kind, w.payload_version, w.id FROM (
    SELECT j.kind, j.payload_version, j.id, j.refusals FROM pgqueue.jobs j
    WHERE j.run_at IS NOT NULL AND j.position IS NULL ORDER BY j.run_at LIMIT %(most)s) AS w
  WHERE w.refusals > 0
), due AS (
  SELECT r.queue, r.kind, r.payload_version, r.id FROM pgqueue.marks m CROSS JOIN LATERAL (
    SELECT j.queue, j.kind, j.payload_version, j.id FROM pgqueue.jobs j
    WHERE j.queue = m.queue AND j.lane = m.lane AND j.position >= greatest(pg_sequence_last_value(m.mark), 1)
      AND j.claimed_by IS NULL ORDER BY j.position LIMIT %(most)s) AS r
), unserved AS (
  SELECT 'unserved', d.kind, d.payload_version, d.id FROM due d
  WHERE EXISTS (SELECT FROM alive a WHERE d.queue = ANY (a.queues))
    AND NOT EXISTS (SELECT FROM alive a, unnest(a.kinds) AS k
                    WHERE d.queue = ANY (a.queues) AND k IN (d.kind, d.kind || '@' || d.payload_version))
)
SELECT u.why, u.kind, u.payload_version, count(*), min(u.id)
FROM (SELECT * FROM parked UNION ALL SELECT * FROM refused UNION ALL SELECT * FROM unserved) AS u
GROUP BY u.why, u.kind, u.payload_version ORDER BY count(*) DESC, u.kind LIMIT 50

-- name: oldest_enqueued
-- The head of each lane of the outbox: the relay takes rows within moments, so an old one means that it stands still.
SELECT o.id, extract(epoch FROM (SELECT pgqueue.clock()) - o.enqueued_at)::float8
FROM (VALUES (0::smallint), (1::smallint)) AS l (lane) CROSS JOIN LATERAL (
  SELECT x.id, x.enqueued_at FROM pgqueue.outbox x WHERE x.lane = l.lane ORDER BY x.id LIMIT 1) AS o
ORDER BY o.enqueued_at LIMIT 1

-- name: expired_leases
SELECT j.id, j.kind, j.queue, j.claimed_by, extract(epoch FROM (SELECT pgqueue.clock()) - j.lease_until)::float8
FROM pgqueue.marks m CROSS JOIN LATERAL (
  SELECT x.id, x.kind, x.queue, x.claimed_by, x.lease_until FROM pgqueue.jobs x
  WHERE x.queue = m.queue AND x.lane = m.lane AND x.position IS NOT NULL ORDER BY x.position LIMIT %(most)s) AS j
WHERE j.claimed_by IS NOT NULL AND j.lease_until < (SELECT pgqueue.clock()) - %(grace)s
ORDER BY j.lease_until LIMIT 20

-- name: oldest_snapshot
-- Whoever keeps the oldest transaction open keeps rows of finished jobs from being removed.
SELECT h.what, h.pid, h.name, h.state, extract(epoch FROM clock_timestamp() - h.since)::float8,
  extract(epoch FROM clock_timestamp() - h.query_start)::float8, h.query, h.transactions
FROM (
  SELECT 'session' AS what, a.pid, a.application_name AS name, a.state, a.xact_start AS since, a.query_start,
    left(a.query, 200) AS query, greatest(age(a.backend_xmin), age(a.backend_xid)) AS transactions
  FROM pg_catalog.pg_stat_activity a
  WHERE a.pid <> pg_backend_pid() AND (a.datname = current_database() OR a.datname IS NULL)
    AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND a.backend_type <> 'autovacuum worker'
  UNION ALL
  SELECT 'prepared transaction', NULL, p.gid, NULL, p.prepared, NULL, NULL, age(p.transaction)
  FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database()
  UNION ALL
  SELECT 'replication slot', s.active_pid, s.slot_name, CASE WHEN s.active THEN 'active' ELSE 'inactive' END,
    NULL, NULL, NULL, age(s.xmin)
  FROM pg_catalog.pg_replication_slots s WHERE s.xmin IS NOT NULL
) AS h
ORDER BY h.transactions DESC, h.since LIMIT 1

-- name: server_settings
SELECT s.name, s.setting FROM pg_catalog.pg_settings s
WHERE s.name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'default_transaction_isolation',
                 'server_version_num', 'server_version')
