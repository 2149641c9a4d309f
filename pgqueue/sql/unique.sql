-- One job at a time of what is the same: the relay's step before it moves a batch.
--
-- The relay alone writes jobs.unique_hash, under its turn's lock, so an anti-join on its snapshot is exact and nothing
-- here waits: not for a claim, not for a settlement, not for anybody's open transaction. Whatever it would have to wait
-- for is left in the outbox for the next round. jobs_unique is only the net.
-- hold = 'unique:<hash in hex>' keeps a job behind the live one of its hash; it has no hash of its own until then.

-- function: relay_rivals
-- Each hash of these outbox rows that is not alone: twice among them, live already, or with a job held behind a live
-- one. The policy of the newest row counts. verb: join the target, replace what it will do, free the hash of a running
-- target, follow it when it has ended, or gather what is only in the outbox.
-- = ANY (…) instead of joins with jobs: where statistics know a nearly empty table, a join reads the whole index.
CREATE OR REPLACE FUNCTION pgqueue.relay_rivals(taken bigint[])
RETURNS TABLE (ids bigint[], skips boolean, verb text, target bigint) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_nestloop = off
AS $$
  WITH entered AS MATERIALIZED (
    SELECT o.id, o.unique_hash, coalesce(o.unique_while, 'live') AS keeps, coalesce(o.on_conflict, 'skip') AS verdict
    FROM pgqueue.outbox o
    WHERE o.lane IN (0, 1, 2) AND o.id = ANY (relay_rivals.taken) AND o.unique_while IS DISTINCT FROM 'period'
  ), hashes AS MATERIALIZED (
    SELECT e.unique_hash, 'unique:' || encode(e.unique_hash, 'hex') AS hold, array_agg(e.id ORDER BY e.id) AS ids, (array_agg(e.keeps ORDER BY e.id DESC))[1] AS keeps,
           (array_agg(e.verdict ORDER BY e.id DESC))[1] = 'skip' AS skips
    FROM entered e GROUP BY e.unique_hash
  ), live AS MATERIALIZED (
    SELECT j.id, j.unique_hash, j.claimed_by IS NOT NULL AS running FROM pgqueue.jobs j
    WHERE j.unique_hash = ANY (ARRAY(SELECT h.unique_hash FROM hashes h))
  ), behind AS MATERIALIZED (
    SELECT f.hold, min(f.id) AS id FROM pgqueue.jobs f
    WHERE (SELECT EXISTS (SELECT FROM pgqueue.jobs w WHERE w.hold >= 'unique:' AND w.hold < 'unique;'))
      AND f.hold = ANY (ARRAY(SELECT h.hold FROM hashes h)) GROUP BY f.hold
  ), met AS (
    SELECT h.ids, h.keeps, h.skips, l.id AS live, l.running, b.id AS behind
    FROM hashes h LEFT JOIN live l ON l.unique_hash = h.unique_hash LEFT JOIN behind b ON b.hold = h.hold
    WHERE cardinality(h.ids) > 1 OR l.id IS NOT NULL OR b.id IS NOT NULL
  )
  SELECT m.ids, m.skips,
    CASE WHEN m.behind IS NOT NULL AND NOT m.skips THEN 'replace'
         WHEN m.live IS NULL THEN CASE WHEN m.behind IS NULL THEN 'gather' ELSE 'join' END
         WHEN m.keeps = 'waiting' AND m.running THEN 'free'
         WHEN m.skips THEN 'join'
         WHEN m.running THEN 'follow'
         ELSE 'replace' END,
    CASE WHEN m.behind IS NOT NULL AND NOT m.skips THEN m.behind ELSE coalesce(m.live, m.behind) END
  FROM met m
$$

-- function: relay_periods
-- Nobody else comes in until a period is over that the first one's enqueue began, whatever became of that one.
-- A row that begins the next period of a hash waits for the next round (no survivor).
CREATE OR REPLACE FUNCTION pgqueue.relay_periods(taken bigint[])
RETURNS TABLE (id bigint, survivor bigint) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
  RETURN QUERY
  WITH met AS MATERIALIZED (
    SELECT o.id, o.unique_hash, o.enqueued_at, o.enqueued_at + o.unique_period AS ends, p.survivor, p.until
    FROM pgqueue.outbox o LEFT JOIN pgqueue.unique_periods p ON p.unique_hash = o.unique_hash
    WHERE o.lane IN (0, 1, 2) AND o.id = ANY (relay_periods.taken) AND o.unique_while = 'period'
  ), late AS MATERIALIZED (
    SELECT m.*, first_value(m.id) OVER w AS first, first_value(m.ends) OVER w AS over FROM met m
    WHERE (m.enqueued_at < m.until) IS NOT TRUE WINDOW w AS (PARTITION BY m.unique_hash ORDER BY m.id)
  ), begun AS (
    INSERT INTO pgqueue.unique_periods AS u (unique_hash, survivor, until)
    SELECT l.unique_hash, l.id, l.ends FROM late l WHERE l.id = l.first
    ON CONFLICT ON CONSTRAINT unique_periods_pkey DO UPDATE SET survivor = excluded.survivor, until = excluded.until
  )
  SELECT m.id, m.survivor FROM met m WHERE m.enqueued_at < m.until
  UNION ALL SELECT l.id, CASE WHEN l.enqueued_at < l.over THEN l.first END FROM late l WHERE l.id <> l.first;
END
$$

-- function: relay_replace
-- A job that does not run yet takes over what a newer one wants. It never runs earlier than its own retry or snooze
-- would, nor later than max_wait after it was first enqueued. If the newer one counts against other keys, it lets its
-- permits go, or leaves the line of a full key, and is decided about anew.
CREATE OR REPLACE FUNCTION pgqueue.relay_replace(target bigint, source bigint)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
  WITH wanted AS MATERIALIZED (
    SELECT o.*, c.now, k.permit AS had, k.limits AS counted, k.position IS NOT NULL AS ready,
      coalesce(k.hold ^@ 'unique:', false) AS follows,
      (k.position IS NOT NULL OR coalesce(k.hold ^@ 'limit:', false)) AND
        ARRAY(SELECT substr(l, strpos(l, ' ') + 1) FROM unnest(k.limits) AS l WHERE l !~ '^0 ' ORDER BY 1)
        <> ARRAY(SELECT substr(l, strpos(l, ' ') + 1) FROM unnest(o.limits) AS l ORDER BY 1) AS recounts,
      -- what a kind or a queue was given at run time stays
      nullif(coalesce(o.limits, '{}') || ARRAY(SELECT l FROM unnest(k.limits) AS l WHERE l ~ '^0 '), '{}') AS counts,
      greatest(least(coalesce(o.run_at, o.enqueued_at + coalesce(o.delay, interval '0')),
                     k.enqueued_at + o.unique_max_wait, '9999-01-01 00:00Z'::timestamptz),
               CASE WHEN k.claims <> 0 THEN k.run_at END) AS due
    FROM pgqueue.outbox o, pgqueue.jobs k, (SELECT pgqueue.clock() AS now) c
    WHERE o.lane IN (0, 1, 2) AND o.id = relay_replace.source AND k.id = relay_replace.target
  ), timed AS (
    SELECT w.*, w.on_conflict = 'replace' AS retimes, w.on_conflict = 'replace' AND NOT w.follows AND w.due > w.now AS later
    FROM wanted w
  ), new AS MATERIALIZED (
    SELECT t.*, t.later OR t.recounts AS leaves FROM timed t
  ), freed AS (
    INSERT INTO pgqueue.freed (permits, limits) SELECT array_agg(n.had), array_agg(l)
    FROM new n, unnest(n.counted) AS l WHERE n.leaves AND n.ready AND n.had IS NOT NULL HAVING count(*) > 0
  )
  UPDATE pgqueue.jobs j
  SET args = n.args, payload_version = n.payload_version, max_attempts = n.max_attempts, user_id = n.user_id,
      correlation_id = n.correlation_id, trace_id = n.trace_id,
      limits = CASE WHEN n.ready AND NOT n.leaves THEN j.limits ELSE n.counts END, cost = n.cost,
      permit = CASE WHEN NOT n.leaves THEN j.permit END, position = CASE WHEN NOT n.leaves THEN j.position END,
      hold = CASE WHEN NOT n.leaves THEN j.hold END,
      run_at = CASE WHEN n.later THEN n.due WHEN n.recounts OR (n.retimes AND j.position IS NULL AND j.hold IS NULL) THEN n.now
        ELSE j.run_at END,
      not_before = CASE WHEN n.retimes AND n.follows THEN n.due ELSE j.not_before END,
      expires_at = CASE WHEN n.retimes THEN greatest(n.due, n.now) + coalesce(n.max_age, interval '7 days') ELSE j.expires_at END
  FROM new n WHERE j.id = relay_replace.target
$$

-- function: relay_gather
-- Of jobs that replace each other while all of them are in the outbox, the newest stays, as if it had come first.
CREATE OR REPLACE FUNCTION pgqueue.relay_gather(first bigint, newest bigint)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
  UPDATE pgqueue.outbox o
  SET enqueued_at = f.enqueued_at, delay = NULL,
      run_at = CASE WHEN o.on_conflict = 'replace_args' THEN coalesce(f.run_at, f.enqueued_at + f.delay)
        ELSE least(coalesce(o.run_at, o.enqueued_at + coalesce(o.delay, interval '0')),
                   f.enqueued_at + o.unique_max_wait, '9999-01-01 00:00Z'::timestamptz) END
  FROM pgqueue.outbox f
  WHERE o.lane IN (0, 1, 2) AND o.id = relay_gather.newest AND f.lane IN (0, 1, 2) AND f.id = relay_gather.first
$$

-- function: relay_follow
-- The job of this hash runs and may not be disturbed: the new one is held until that has ended.
CREATE OR REPLACE FUNCTION pgqueue.relay_follow(job bigint)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
  WITH taken AS (
    DELETE FROM pgqueue.outbox o WHERE o.lane IN (0, 1, 2) AND o.id = relay_follow.job RETURNING o.*
  )
  INSERT INTO pgqueue.jobs (id, enqueued_at, expires_at, not_before, max_attempts, payload_version, lane, correlation_id,
                            trace_id, queue, kind, organization_id, user_id, hold, limits, cost, args)
  SELECT t.id, t.enqueued_at, coalesce(t.run_at, t.enqueued_at + t.delay, t.enqueued_at) + coalesce(t.max_age, interval '7 days'),
    coalesce(t.run_at, t.enqueued_at + t.delay), t.max_attempts, t.payload_version, t.priority, t.correlation_id, t.trace_id,
    t.queue, t.kind, t.organization_id, t.user_id, 'unique:' || encode(t.unique_hash, 'hex'), t.limits, t.cost, t.args
  FROM taken t
$$

-- function: relay_merge
-- Returns what the relay must not move: done (merged, or held behind another job), or left for the next round because
-- somebody has a row locked that would have to be changed. Nothing is merged into a job that somebody is about to end or
-- to cancel (FOR KEY SHARE; a claim does not stand against it): should that be rolled back, the next round merges.
CREATE OR REPLACE FUNCTION pgqueue.relay_merge(keyed bigint[])
RETURNS TABLE (id bigint, done boolean) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
DECLARE
  taken bigint[];
  periodic boolean;
  rival record;
  merged bigint[] := '{}';
  survivors bigint[] := '{}';
  held bigint[] := '{}';
  aside bigint[];
  survivor bigint;
BEGIN
  -- Who is alone is not locked, which would cost as much as moving it.
  keyed := ARRAY(SELECT unnest(r.ids) FROM pgqueue.relay_rivals(keyed) r UNION ALL SELECT o.id FROM pgqueue.outbox o
                 WHERE o.lane IN (0, 1, 2) AND o.id = ANY (keyed) AND o.unique_while = 'period');
  IF cardinality(keyed) = 0 THEN RETURN; END IF;
  SELECT coalesce(array_agg(x.id), '{}'), bool_or(x.unique_while = 'period') INTO taken, periodic FROM (
    SELECT o.id, o.unique_while FROM pgqueue.outbox o WHERE o.lane IN (0, 1, 2) AND o.id = ANY (keyed)
    FOR UPDATE SKIP LOCKED) x;
  aside := CASE WHEN cardinality(taken) = cardinality(keyed) THEN '{}'
                ELSE ARRAY(SELECT unnest(keyed) EXCEPT SELECT unnest(taken)) END;
  IF periodic THEN
    SELECT coalesce(array_agg(p.id) FILTER (WHERE p.survivor IS NOT NULL), '{}'),
           coalesce(array_agg(p.survivor) FILTER (WHERE p.survivor IS NOT NULL), '{}'),
           aside || coalesce(array_agg(p.id) FILTER (WHERE p.survivor IS NULL), '{}')
    INTO merged, survivors, aside FROM pgqueue.relay_periods(taken) p;
  END IF;
  FOR rival IN SELECT r.*, r.ids[cardinality(r.ids)] AS newest FROM pgqueue.relay_rivals(taken) r LOOP
    IF rival.verb = 'join' THEN
      PERFORM FROM pgqueue.jobs j WHERE j.id = rival.target FOR KEY SHARE SKIP LOCKED;
    ELSIF rival.verb IN ('replace', 'free') THEN
      PERFORM FROM pgqueue.jobs j WHERE j.id = rival.target AND (j.claimed_by IS NULL) = (rival.verb = 'replace')
      FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF rival.verb NOT IN ('gather', 'follow') AND NOT FOUND THEN
      aside := aside || rival.ids;
      CONTINUE;
    END IF;
    survivor := CASE WHEN rival.verb IN ('join', 'replace') THEN rival.target WHEN rival.skips THEN rival.ids[1] ELSE rival.newest END;
    IF rival.verb = 'replace' THEN PERFORM pgqueue.relay_replace(rival.target, rival.newest);
    ELSIF rival.verb = 'free' THEN UPDATE pgqueue.jobs j SET unique_hash = NULL WHERE j.id = rival.target;
    END IF;
    IF survivor = rival.newest AND rival.ids[1] <> survivor THEN PERFORM pgqueue.relay_gather(rival.ids[1], survivor); END IF;
    IF rival.verb = 'follow' THEN
      PERFORM pgqueue.relay_follow(survivor);
      held := held || survivor;
    END IF;
    merged := merged || array_remove(rival.ids, survivor);
    survivors := survivors || array_fill(survivor, ARRAY[cardinality(array_remove(rival.ids, survivor))]);
  END LOOP;
  PERFORM pgqueue.merge_jobs(merged, survivors);
  RETURN QUERY SELECT m, true FROM unnest(merged || held) m UNION ALL SELECT a, false FROM unnest(aside) a;
END
$$

-- function: merge_jobs
-- The rows leave the outbox; their ids still lead to the job that does their work.
CREATE OR REPLACE FUNCTION pgqueue.merge_jobs(ids bigint[], survivors bigint[])
RETURNS void LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_nestloop = off
AS $$
  WITH gone AS (
    DELETE FROM pgqueue.outbox o WHERE o.lane IN (0, 1, 2) AND o.id = ANY (merge_jobs.ids) RETURNING o.*
  )
  INSERT INTO pgqueue.merged_jobs (id, survivor, queue, kind, payload_version, organization_id, user_id, correlation_id,
                                   trace_id, enqueued_at)
  SELECT g.id, t.survivor, g.queue, g.kind, g.payload_version, g.organization_id, g.user_id, g.correlation_id, g.trace_id,
    g.enqueued_at
  FROM gone g JOIN unnest(merge_jobs.ids, merge_jobs.survivors) AS t (id, survivor) ON t.id = g.id
$$

-- function: relay_release
-- What was held behind a job that has ended gets the hash, and with it its turn: the one that came first.
-- OFFSET 0 keeps each look a look along an index: as a join it could read all of it.
CREATE OR REPLACE FUNCTION pgqueue.relay_release()
RETURNS void LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  UPDATE pgqueue.jobs j
  SET hold = NULL, unique_hash = decode(substr(j.hold, 8), 'hex'), run_at = greatest(j.not_before, (SELECT pgqueue.clock())),
      not_before = NULL
  WHERE j.id = ANY (ARRAY(
    SELECT h.id FROM pgqueue.jobs h WHERE h.hold >= 'unique:' AND h.hold < 'unique;'
      AND NOT EXISTS (SELECT FROM pgqueue.jobs l WHERE l.unique_hash = decode(substr(h.hold, 8), 'hex') OFFSET 0)
      AND NOT EXISTS (SELECT FROM pgqueue.jobs e WHERE e.hold = h.hold AND e.id < h.id OFFSET 0)
    ORDER BY h.hold LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED))
$$

-- name: dead_rivals
-- Which live job keeps a dead one from being requeued.
SELECT d.id, r.id FROM pgqueue.dead_jobs d CROSS JOIN LATERAL (
  SELECT j.id FROM pgqueue.jobs j WHERE j.unique_hash = d.unique_hash
  UNION ALL SELECT j.id FROM pgqueue.jobs j WHERE j.hold = 'unique:' || encode(d.unique_hash, 'hex') LIMIT 1) AS r
WHERE d.id = ANY (%(ids)s) AND d.unique_hash IS NOT NULL ORDER BY d.id

-- name: survivor
SELECT m.survivor FROM pgqueue.merged_jobs m WHERE m.id = %(id)s

-- name: prune_merged
DELETE FROM pgqueue.merged_jobs m WHERE m.id = ANY (ARRAY(
  SELECT o.id FROM pgqueue.merged_jobs o WHERE o.merged_at < (SELECT pgqueue.clock()) - %(age)s
  ORDER BY o.merged_at LIMIT 1000 FOR UPDATE SKIP LOCKED)) RETURNING m.id

-- name: prune_periods
-- A day longer than the period: a row that stood in the outbox while no relay ran was enqueued within it all the same.
DELETE FROM pgqueue.unique_periods u WHERE u.unique_hash = ANY (ARRAY(
  SELECT o.unique_hash FROM pgqueue.unique_periods o WHERE o.until < (SELECT pgqueue.clock()) - interval '1 day'
  ORDER BY o.until LIMIT 1000 FOR UPDATE SKIP LOCKED)) RETURNING u.survivor
