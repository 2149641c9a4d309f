-- What recurs. Any number of workers call tick_schedules with what they have worked out; the row of the schedule
-- decides who was first, the ledger (schedule_runs) that no tick becomes two jobs. There is no leader.
-- An entry of the code is alive while some worker lists it: `stale` is how long after the last word of one.

-- function: fire_schedules
-- Takes the entries whose plan still holds (nobody moved them, they are due, the plan is not outdated), moves them to
-- their next tick and enqueues a job for each tick that the plan names: one statement, whatever their number.
-- Somebody else's rows are skipped, not waited for; a row that moved meanwhile no longer fits `since`.
CREATE OR REPLACE FUNCTION pgqueue.fire_schedules(plan jsonb, stale interval)
RETURNS TABLE (schedule text, missed integer, tick timestamptz, job bigint)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
  WITH planned AS MATERIALIZED (
    SELECT p.*, n.now FROM jsonb_to_recordset(fire_schedules.plan)
      AS p (name text, since timestamptz, at timestamptz, until timestamptz, next timestamptz, missed integer,
            ticks timestamptz[]), (SELECT pgqueue.clock() AS now OFFSET 0) AS n
    WHERE p.at <= n.now AND n.now < p.until
  ), due AS MATERIALIZED (
    SELECT s.*, p.now, p.next, p.ticks, p.missed AS late FROM planned p JOIN pgqueue.schedules s ON s.name = p.name
    WHERE s.next_run_at IS NOT DISTINCT FROM p.since AND s.paused_at IS NULL
      AND (s.source = 'added' OR s.listed_at > p.now - fire_schedules.stale)
    ORDER BY s.name FOR NO KEY UPDATE OF s SKIP LOCKED
  ), moved AS (
    UPDATE pgqueue.schedules s
    SET next_run_at = d.next, missed_runs = s.missed_runs + d.late,
        missed_at = CASE WHEN d.late > 0 THEN d.now ELSE s.missed_at END
    FROM due d WHERE s.name = d.name
  ), fired AS MATERIALIZED (
    SELECT d.*, t.tick, gen_random_uuid() AS trace,
           -- The same share of the jitter for this entry and tick, whoever works it out.
           d.jitter * ((hashtextextended(d.name || extract(epoch FROM t.tick), 0) & 65535) / 65536.0) AS spread
    FROM due d CROSS JOIN unnest(d.ticks) AS t (tick)
    WHERE NOT EXISTS (SELECT FROM pgqueue.schedule_runs r WHERE r.schedule = d.name AND r.tick = t.tick)
  ), jobs AS (
    INSERT INTO pgqueue.outbox (run_at, max_age, payload_version, max_attempts, priority, correlation_id, trace_id,
      queue, kind, organization_id, user_id, unique_hash, unique_while, unique_period, unique_max_wait, on_conflict, limits, cost, args)
    SELECT CASE WHEN f.jitter > interval '0' THEN greatest(f.tick, f.now) + f.spread ELSE f.tick END,
      o.max_age, f.payload_version, f.max_attempts, coalesce(o.priority, 0), gen_random_uuid(), f.trace, f.queue, f.kind,
      f.organization_id, f.user_id, o.unique_hash, o.unique_while, o.unique_period, o.unique_max_wait, o.on_conflict, o.limits, o.cost, f.args
    FROM fired f CROSS JOIN LATERAL jsonb_populate_record(NULL::pgqueue.outbox, f.options) AS o
    ORDER BY f.tick, f.name RETURNING id, trace_id
  ), entered AS (
    INSERT INTO pgqueue.schedule_runs (schedule, tick, job_id, fired_at)
    SELECT f.name, f.tick, j.id, f.now FROM fired f JOIN jobs j ON j.trace_id = f.trace
    RETURNING schedule_runs.schedule, schedule_runs.tick, job_id
  )
  SELECT d.name, d.late, e.tick, e.job_id FROM due d LEFT JOIN entered e ON e.schedule = d.name ORDER BY e.job_id
$$

-- function: tick_schedules
-- One message: fire what was planned, then say what comes next, with a new snapshot. Rows that this worker cannot
-- work out (no cron library, an unknown zone) are left out, so that they do not stand before the others.
CREATE OR REPLACE FUNCTION pgqueue.tick_schedules(
  plan jsonb, unreadable text[], ahead interval, stale interval, most integer)
RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  fired jsonb := '[]';
  coming jsonb;
  moment timestamptz;
BEGIN
  IF jsonb_array_length(tick_schedules.plan) > 0 THEN
    SELECT coalesce(jsonb_agg(jsonb_build_array(f.schedule, f.missed, f.tick, f.job)), '[]') INTO fired
    FROM pgqueue.fire_schedules(tick_schedules.plan, tick_schedules.stale) AS f;
  END IF;
  moment := pgqueue.clock();
  SELECT coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'since', s.next_run_at, 'changed_at', s.changed_at,
    'cron', s.cron, 'every', extract(epoch FROM s.every)::float8, 'time_zone', s.time_zone, 'missed', s.missed,
    'most', s.most) ORDER BY s.next_run_at NULLS FIRST), '[]')
  INTO coming FROM (
    (SELECT n.* FROM pgqueue.schedules n WHERE n.next_run_at IS NULL AND n.paused_at IS NULL
      AND n.name <> ALL (tick_schedules.unreadable)
      AND (n.source = 'added' OR n.listed_at > moment - tick_schedules.stale) LIMIT tick_schedules.most)
    UNION ALL
    (SELECT d.* FROM pgqueue.schedules d WHERE d.next_run_at <= moment + tick_schedules.ahead AND d.paused_at IS NULL
      AND d.name <> ALL (tick_schedules.unreadable)
      AND (d.source = 'added' OR d.listed_at > moment - tick_schedules.stale)
      ORDER BY d.next_run_at LIMIT tick_schedules.most)
  ) AS s;
  RETURN jsonb_build_object('now', moment, 'fired', fired, 'coming', coming,
                            'any', EXISTS (SELECT FROM pgqueue.schedules))::text;
END
$$

-- name: tick_schedules
SELECT pgqueue.tick_schedules(%(plan)s::text::jsonb, %(unreadable)s::text[], %(ahead)s, %(stale)s, %(most)s)

-- function: sync_schedules
-- What a worker's code says, at its start and again and again. A definition that was superseded comes back only when
-- no living worker holds the newer one: so old and new workers side by side do not take turns, and a rollback works.
-- What people did at run time stays: a pause, and an entry of theirs with the same name (those names are returned).
CREATE OR REPLACE FUNCTION pgqueue.sync_schedules(entries jsonb, stale interval, keep interval)
RETURNS SETOF text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  moment constant timestamptz := pgqueue.clock();
BEGIN
  INSERT INTO pgqueue.schedules AS s (name, kind, queue, args, cron, every, time_zone, payload_version, max_attempts,
    organization_id, user_id, options, missed, most, jitter, source, definition, listed_at, held_at, changed_at)
  SELECT e.name, e.kind, e.queue, e.args, e.cron, e.every, e.time_zone, e.payload_version, e.max_attempts,
    e.organization_id, e.user_id, e.options, e.missed, e.most, e.jitter, 'code', e.definition, moment, moment, moment
  FROM jsonb_populate_recordset(NULL::pgqueue.schedules, sync_schedules.entries) AS e
  WHERE NOT EXISTS (SELECT FROM pgqueue.schedules o WHERE o.name = e.name AND o.definition = e.definition)
  ORDER BY e.name
  ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, queue = excluded.queue, args = excluded.args, cron = excluded.cron, every = excluded.every,
    time_zone = excluded.time_zone, payload_version = excluded.payload_version, max_attempts = excluded.max_attempts,
    organization_id = excluded.organization_id, user_id = excluded.user_id, options = excluded.options,
    missed = excluded.missed, most = excluded.most, jitter = excluded.jitter, definition = excluded.definition,
    -- Twenty definitions back are remembered.
    superseded = (array_remove(s.superseded, excluded.definition) || s.definition)[greatest(cardinality(s.superseded) - 18, 1):],
    listed_at = moment, held_at = moment,
    next_run_at = CASE WHEN (s.cron, s.every, s.time_zone) IS NOT DISTINCT FROM
      (excluded.cron, excluded.every, excluded.time_zone) THEN s.next_run_at END,
    changed_at = CASE WHEN (s.cron, s.every, s.time_zone) IS NOT DISTINCT FROM
      (excluded.cron, excluded.every, excluded.time_zone) THEN s.changed_at ELSE moment END
  WHERE s.source = 'code' AND s.definition <> excluded.definition
    AND (excluded.definition <> ALL (s.superseded) OR s.held_at < moment - sync_schedules.stale);
  WITH mine AS MATERIALIZED (
    SELECT o.name, o.definition = e.definition AS held FROM pgqueue.schedules o
    JOIN jsonb_to_recordset(sync_schedules.entries) AS e (name text, definition text) ON e.name = o.name
    WHERE o.source = 'code' AND (o.listed_at < moment - sync_schedules.stale / 4
      OR (o.definition = e.definition AND o.held_at < moment - sync_schedules.stale / 4))
    ORDER BY o.name FOR NO KEY UPDATE OF o SKIP LOCKED
  )
  UPDATE pgqueue.schedules s SET listed_at = moment, held_at = CASE WHEN m.held THEN moment ELSE s.held_at END
  FROM mine m WHERE s.name = m.name;
  DELETE FROM pgqueue.schedules s WHERE s.source = 'code' AND s.listed_at < moment - sync_schedules.keep;
  RETURN QUERY SELECT s.name FROM pgqueue.schedules s
  JOIN jsonb_to_recordset(sync_schedules.entries) AS e (name text) ON e.name = s.name WHERE s.source = 'added';
END
$$

-- name: sync_schedules
SELECT pgqueue.sync_schedules(%(entries)s::text::jsonb, %(stale)s, %(keep)s)

-- function: keep_schedules
-- Notes how runs ended before their rows are no longer kept, then prunes the ledger. The last run of an entry stays,
-- however long ago it was. A job that is in no table has completed: whatever else ends a job leaves a row for days.
CREATE OR REPLACE FUNCTION pgqueue.keep_schedules(keep interval)
RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  pruned bigint;
BEGIN
  UPDATE pgqueue.schedule_runs r SET outcome = e.outcome FROM (
    SELECT o.schedule, o.tick, coalesce(
      (SELECT f.state FROM pgqueue.finished_jobs f WHERE f.id = o.job_id LIMIT 1),
      (SELECT 'merged' FROM pgqueue.merged_jobs m WHERE m.id = o.job_id), 'completed') AS outcome
    FROM (SELECT x.schedule, x.tick, x.job_id FROM pgqueue.schedule_runs x
          WHERE x.outcome IS NULL ORDER BY x.job_id DESC LIMIT 10000) AS o
    WHERE NOT EXISTS (SELECT FROM pgqueue.outbox b WHERE b.lane IN (0, 1) AND b.id = o.job_id)
      AND NOT EXISTS (SELECT FROM pgqueue.jobs j WHERE j.id = o.job_id)
      AND NOT EXISTS (SELECT FROM pgqueue.dead_jobs d WHERE d.id = o.job_id)) AS e
  WHERE r.schedule = e.schedule AND r.tick = e.tick;
  DELETE FROM pgqueue.schedule_runs r WHERE r.ctid = ANY (ARRAY(
    SELECT x.ctid FROM pgqueue.schedule_runs x
    WHERE x.tick < (SELECT pgqueue.clock()) - keep_schedules.keep
      AND (EXISTS (SELECT FROM pgqueue.schedule_runs n WHERE n.schedule = x.schedule AND n.tick > x.tick)
           OR NOT EXISTS (SELECT FROM pgqueue.schedules s WHERE s.name = x.schedule))
    LIMIT 20000 FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END
$$

-- name: keep_schedules
SELECT pgqueue.keep_schedules(%(keep)s)

-- name: add_schedule
WITH added AS (
INSERT INTO pgqueue.schedules (name, kind, queue, args, cron, every, time_zone, payload_version, max_attempts,
  organization_id, user_id, options, missed, most, jitter)
SELECT e.name, e.kind, e.queue, e.args, e.cron, e.every, e.time_zone, e.payload_version, e.max_attempts,
  e.organization_id, e.user_id, e.options, e.missed, e.most, e.jitter
FROM jsonb_populate_record(NULL::pgqueue.schedules, %(entry)s::text::jsonb) AS e
ON CONFLICT (name) DO NOTHING RETURNING name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'add', 'schedule ' || a.name, 1 FROM added a
)
SELECT a.name FROM added a

-- name: change_schedule
-- Its next run is worked out anew when its timing changed. Returns whether anything did; no row: it cannot be changed.
WITH wanted AS MATERIALIZED (
  SELECT e.* FROM jsonb_populate_record(NULL::pgqueue.schedules, %(entry)s::text::jsonb) AS e
), changed AS (
  UPDATE pgqueue.schedules s
  SET kind = e.kind, queue = e.queue, args = e.args, cron = e.cron, every = e.every, time_zone = e.time_zone,
    payload_version = e.payload_version, max_attempts = e.max_attempts, organization_id = e.organization_id,
    user_id = e.user_id, options = e.options, missed = e.missed, most = e.most, jitter = e.jitter,
    next_run_at = CASE WHEN (s.cron, s.every, s.time_zone) IS NOT DISTINCT FROM (e.cron, e.every, e.time_zone)
      THEN s.next_run_at END,
    changed_at = CASE WHEN (s.cron, s.every, s.time_zone) IS NOT DISTINCT FROM (e.cron, e.every, e.time_zone)
      THEN s.changed_at ELSE (SELECT pgqueue.clock()) END
  FROM wanted e
  WHERE s.name = e.name AND s.source = 'added' AND (
      s.kind, s.queue, s.args, s.cron, s.every, s.time_zone, s.payload_version, s.max_attempts,
      s.organization_id, s.user_id, s.options, s.missed, s.most, s.jitter)
    IS DISTINCT FROM (
      e.kind, e.queue, e.args, e.cron, e.every, e.time_zone, e.payload_version, e.max_attempts,
      e.organization_id, e.user_id, e.options, e.missed, e.most, e.jitter)
  RETURNING s.name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'change', 'schedule ' || c.name, 1 FROM changed c
)
SELECT EXISTS (SELECT FROM changed) FROM pgqueue.schedules s JOIN wanted e ON e.name = s.name WHERE s.source = 'added'

-- name: remove_schedule
-- An entry that living workers have in their code would come back: it is paused, or removed from the code.
WITH removed AS (
  DELETE FROM pgqueue.schedules s
  WHERE s.name = %(name)s AND (s.source = 'added' OR s.listed_at < (SELECT pgqueue.clock()) - %(stale)s) RETURNING s.name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'remove', 'schedule ' || r.name, 1 FROM removed r
)
SELECT r.name FROM removed r

-- name: pause_schedule
WITH paused AS (
  UPDATE pgqueue.schedules s SET paused_at = coalesce(s.paused_at, (SELECT pgqueue.clock())), paused_by = %(by)s::text
  WHERE s.name = %(name)s RETURNING s.name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'pause', 'schedule ' || p.name, 1 FROM paused p
)
SELECT p.name FROM paused p

-- name: resume_schedule
-- What a paused entry did not run is not missed: it goes on with the first tick from now.
WITH resumed AS (
  UPDATE pgqueue.schedules s
  SET next_run_at = NULL, changed_at = (SELECT pgqueue.clock()), paused_at = NULL, paused_by = NULL
  WHERE s.name = %(name)s AND s.paused_at IS NOT NULL RETURNING s.name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'resume', 'schedule ' || r.name, 1 FROM resumed r
)
SELECT s.name FROM pgqueue.schedules s WHERE s.name = %(name)s

-- name: run_schedule
-- A run that somebody asked for, beside the ticks; a paused entry runs as well.
WITH asked AS MATERIALIZED (
  SELECT s.*, n.now, gen_random_uuid() AS trace
  FROM pgqueue.schedules s, (SELECT pgqueue.clock() AS now OFFSET 0) AS n WHERE s.name = %(name)s
), jobs AS (
  INSERT INTO pgqueue.outbox (max_age, payload_version, max_attempts, priority, correlation_id, trace_id, queue, kind,
    organization_id, user_id, unique_hash, unique_while, unique_period, unique_max_wait, on_conflict, limits, cost, args)
  SELECT o.max_age, a.payload_version, a.max_attempts, coalesce(o.priority, 0), gen_random_uuid(), a.trace, a.queue,
    a.kind, a.organization_id, a.user_id, o.unique_hash, o.unique_while, o.unique_period, o.unique_max_wait, o.on_conflict, o.limits,
    o.cost, a.args
  FROM asked a CROSS JOIN LATERAL jsonb_populate_record(NULL::pgqueue.outbox, a.options) AS o RETURNING id, trace_id
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), 'run', 'schedule ' || a.name, jsonb_build_object('job', j.id), 1
  FROM asked a JOIN jobs j ON j.trace_id = a.trace
)
INSERT INTO pgqueue.schedule_runs (schedule, tick, job_id, fired_at, asked_by)
SELECT a.name, a.now, j.id, a.now, %(by)s::text FROM asked a JOIN jobs j ON j.trace_id = a.trace RETURNING job_id

-- name: schedule_names
SELECT s.name FROM pgqueue.schedules s ORDER BY s.name

-- name: list_schedules
-- The outcome is looked up where the job stands now; where its row is no longer kept, the ledger has noted it.
SELECT s.name, s.kind, s.queue, s.organization_id, s.user_id, s.args::text, s.cron, extract(epoch FROM s.every)::float8,
  s.time_zone, s.missed, s.most, extract(epoch FROM s.jitter)::float8, s.source,
  CASE WHEN s.paused_at IS NOT NULL THEN 'paused'
       WHEN s.source = 'code' AND s.listed_at < n.now - %(stale)s THEN 'left' ELSE 'active' END,
  s.paused_at, s.paused_by, s.next_run_at, s.changed_at, s.missed_runs, s.missed_at, r.tick, r.job_id, r.asked_by,
  coalesce((SELECT a.state FROM pgqueue.all_jobs a WHERE a.id = r.job_id), r.outcome), n.now
FROM (SELECT pgqueue.clock() AS now OFFSET 0) AS n CROSS JOIN pgqueue.schedules s
LEFT JOIN LATERAL (
  SELECT x.tick, x.job_id, x.asked_by, x.outcome FROM pgqueue.schedule_runs x
  WHERE x.schedule = s.name ORDER BY x.tick DESC LIMIT 1) AS r ON true
WHERE %(name)s::text IS NULL OR s.name = %(name)s
ORDER BY s.name

-- name: schedule_runs
-- The latest runs of one entry, latest first.
SELECT r.tick, r.job_id, r.fired_at, r.asked_by,
  coalesce((SELECT a.state FROM pgqueue.all_jobs a WHERE a.id = r.job_id), r.outcome)
FROM pgqueue.schedule_runs r WHERE r.schedule = %(name)s ORDER BY r.tick DESC LIMIT %(limit)s

-- name: tick_of_job
-- Which tick a live job is of; `schedule_runs_open` has it.
SELECT r.tick FROM pgqueue.schedule_runs r WHERE r.job_id = %(id)s AND r.outcome IS NULL

-- name: overdue_schedules
-- Enabled entries that no worker moves.
SELECT s.name, extract(epoch FROM n.now - coalesce(s.next_run_at, s.changed_at))::float8,
  s.source = 'code' AND s.listed_at < n.now - %(stale)s
FROM pgqueue.schedules s, (SELECT pgqueue.clock() AS now OFFSET 0) AS n
WHERE s.paused_at IS NULL AND coalesce(s.next_run_at, s.changed_at) < n.now - %(grace)s
ORDER BY coalesce(s.next_run_at, s.changed_at) LIMIT 100
