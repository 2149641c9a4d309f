-- Steering workers while they run: from any machine, through the database.

-- name: orders
-- What a worker process has to know beside its jobs: what it was asked, the run-time overrides, and whether its row is
-- still there: a process that was frozen for long was taken for dead.
SELECT (SELECT w.asked FROM pgqueue.workers w WHERE w.id = %(worker)s),
  (SELECT jsonb_object_agg(q.name, q.workers) FROM pgqueue.queues q WHERE q.workers IS NOT NULL),
  (SELECT o.value FROM pgqueue.overrides o WHERE o.name = 'processes'),
  EXISTS (SELECT FROM pgqueue.workers w WHERE w.id = %(worker)s)

-- name: set_workers
-- `workers` NULL takes the override back.
WITH changed AS (
  UPDATE pgqueue.queues q SET workers = %(workers)s, workers_by = n.by,
    workers_at = CASE WHEN n.by IS NOT NULL THEN (SELECT pgqueue.clock()) END
  FROM (SELECT CASE WHEN %(workers)s::integer IS NOT NULL THEN %(by)s::text END AS by) AS n
  WHERE q.name = %(queue)s AND coalesce(%(workers)s::integer, q.workers) IS NOT NULL RETURNING q.name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), 'scale', 'queue ' || c.name, jsonb_build_object('workers', %(workers)s::integer), 1 FROM changed c
)
SELECT q.name FROM pgqueue.queues q WHERE q.name = %(queue)s

-- name: set_processes
WITH changed AS (
  INSERT INTO pgqueue.overrides (name, value, set_by) VALUES ('processes', %(processes)s, %(by)s::text)
  ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, set_at = excluded.set_at
  RETURNING value
)
INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
SELECT left(%(by)s::text, 200), 'scale', 'processes', jsonb_build_object('processes', c.value), 1 FROM changed c

-- name: reset_processes
WITH changed AS (
  DELETE FROM pgqueue.overrides o WHERE o.name = 'processes' RETURNING o.name
)
INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
SELECT left(%(by)s::text, 200), 'scale', 'processes', '{"processes": null}', 1 FROM changed c

-- name: overrides
SELECT 'queues', q.name, q.workers, q.workers_by, q.workers_at FROM pgqueue.queues q WHERE q.workers IS NOT NULL
UNION ALL SELECT 'supervise', o.name, o.value, o.set_by, o.set_at FROM pgqueue.overrides o
ORDER BY 1, 2

-- name: ask_workers
-- Only the living are asked; `queue` and `beginning` (of an id, as `workers` lists it) narrow that down.
WITH asked AS (
  UPDATE pgqueue.workers w SET asked = %(what)s::text, asked_by = %(by)s::text, asked_at = (SELECT pgqueue.clock())
  WHERE w.heartbeat_at > (SELECT pgqueue.clock()) - %(silent)s
    AND (%(queue)s::text IS NULL OR %(queue)s = ANY (w.queues))
    AND (%(beginning)s::text IS NULL OR starts_with(w.id::text, %(beginning)s))
  RETURNING w.id
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), CASE %(what)s::text WHEN 'drain' THEN 'drain' ELSE 'restart' END, 'workers',
    jsonb_strip_nulls(jsonb_build_object('queue', %(queue)s::text, 'worker', %(beginning)s::text)), count(*)
  FROM asked HAVING count(*) > 0
)
SELECT a.id FROM asked a

-- name: worker_ids
SELECT w.id FROM pgqueue.workers w WHERE starts_with(w.id::text, %(beginning)s) ORDER BY w.id LIMIT 10

-- name: resume_due
-- Queues that were paused for a while and may go on. Nobody does it at that moment: the timer of whoever paused it.
WITH due AS MATERIALIZED (
  SELECT q.name, q.paused_by FROM pgqueue.queues q WHERE q.resume_at <= (SELECT pgqueue.clock())
  ORDER BY q.name FOR NO KEY UPDATE SKIP LOCKED
), resumed AS (
  UPDATE pgqueue.queues q SET paused_at = NULL, paused_by = NULL, resume_at = NULL FROM due d WHERE q.name = d.name
  RETURNING q.name, d.paused_by
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, reason, affected)
  SELECT 'timer', 'resume', 'queue ' || r.name, 'the pause of ' || coalesce(nullif(r.paused_by, ''), 'somebody') || ' is over', 1
  FROM resumed r
)
SELECT r.name FROM resumed r

-- name: loads
-- How many jobs of each queue wait for a slot, counted no further than `most` per lane: an index range that begins at
-- the first position that may be unclaimed. A paused queue has no load: more processes would not help it.
SELECT m.queue, coalesce(sum(p.jobs), 0)::integer
FROM pgqueue.marks m JOIN pgqueue.queues q ON q.name = m.queue
CROSS JOIN LATERAL (
  SELECT count(*) AS jobs FROM (
    SELECT FROM pgqueue.jobs j
    WHERE j.queue = m.queue AND j.lane = m.lane AND j.position IS NOT NULL
      AND j.position >= greatest(pg_sequence_last_value(m.mark), 1)
      AND j.claimed_by IS NULL
    ORDER BY j.position LIMIT %(most)s) AS r) AS p
WHERE m.queue = ANY (%(queues)s) AND q.paused_at IS NULL GROUP BY m.queue
