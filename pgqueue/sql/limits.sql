-- Limits: what the relay asks before a job gets a position. Nothing here is called when no job of a batch needs it.
-- An element of `limits` says what it counts against: "5 name=value" (so many at once), "0 kind:…" or "0 queue:…" (set at
-- run time; the number is in the table), "60/60000000/10/1 rate:name=value" (count, microseconds, burst, and what the
-- job weighs; see rates.sql). The table is always asked first.

-- function: order_is_plain
-- Nothing was limited at run time and no queue is fair: only what the jobs themselves say can hold them back.
CREATE OR REPLACE FUNCTION pgqueue.order_is_plain()
RETURNS boolean LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT NOT EXISTS (SELECT FROM pgqueue.limits) AND NOT EXISTS (SELECT FROM pgqueue.queues q WHERE q."order" = 'fair')
$$

-- function: decide
-- What becomes of jobs that are due: held by a limit, placed in a fair order, or (no hold, no position) next in line.
CREATE OR REPLACE FUNCTION pgqueue.decide(due pgqueue.candidate[], lows jsonb)
RETURNS pgqueue.decision[] LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
  ruled constant boolean := EXISTS (SELECT FROM pgqueue.limits);
  shared constant text[] := ARRAY(SELECT q.name FROM pgqueue.queues q WHERE q."order" = 'fair');
  admitted pgqueue.decision[] := '{}';
  fair pgqueue.candidate[] := '{}';
BEGIN
  IF ruled THEN due := pgqueue.with_limits(due); END IF;
  IF EXISTS (SELECT FROM unnest(due) c WHERE c.limits IS NOT NULL) THEN admitted := pgqueue.admit(due, lows); END IF;
  IF cardinality(shared) > 0 THEN
    fair := ARRAY(SELECT c FROM unnest(due) AS c WHERE c.queue = ANY (shared) AND NOT c.front
                  AND c.id NOT IN (SELECT a.id FROM unnest(admitted) AS a WHERE a.hold IS NOT NULL));
  END IF;
  IF cardinality(admitted) = 0 THEN
    RETURN ARRAY(SELECT ROW(f.id, NULL, NULL, f.position, NULL)::pgqueue.decision FROM pgqueue.place_fairly(fair) AS f);
  ELSIF cardinality(fair) = 0 AND NOT ruled THEN
    RETURN admitted;
  END IF;
  RETURN ARRAY(
    SELECT ROW(c.id, a.hold, a.permit, f.position, c.limits)::pgqueue.decision
    FROM unnest(due) AS c LEFT JOIN unnest(admitted) AS a ON a.id = c.id
    LEFT JOIN pgqueue.place_fairly(fair) AS f ON f.id = c.id WHERE c.limits IS NOT NULL OR f.id IS NOT NULL);
END
$$

-- function: with_limits
-- A kind or queue that was limited at run time limits each of its jobs.
CREATE OR REPLACE FUNCTION pgqueue.with_limits(due pgqueue.candidate[])
RETURNS pgqueue.candidate[] LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(ROW(c.id, c.queue, c.lane, c.kind, c.organization_id, c.cost,
    nullif(ARRAY(SELECT l FROM unnest(c.limits) AS l WHERE l !~ '^0 ') || k.limits || q.limits, '{}'),
    c.front, c.due_at)::pgqueue.candidate ORDER BY c.id), '{}')
  FROM unnest(due) AS c
  LEFT JOIN (SELECT substr(r.name, 6) AS kind, ARRAY['0 ' || r.name] AS limits
             FROM pgqueue.limits r WHERE starts_with(r.name, 'kind:')) AS k ON k.kind = c.kind
  LEFT JOIN (SELECT substr(r.name, 7) AS queue, ARRAY['0 ' || r.name] AS limits
             FROM pgqueue.limits r WHERE starts_with(r.name, 'queue:')) AS q ON q.queue = c.queue
$$

-- function: room
-- How many permits of each key are free. Counted under the relay's lock, which alone adds permits: what settles
-- meanwhile can only make room. lows: below that block of a key nothing lives. Never more rows are read than may run.
CREATE OR REPLACE FUNCTION pgqueue.room(keys text[], given integer[], lows jsonb)
RETURNS TABLE (key text, free integer) LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  SELECT m.key, greatest(m.most - (SELECT coalesce(sum(cardinality(taken.numbers)), 0) FROM (
      SELECT p.numbers FROM pgqueue.permits p WHERE p.key = m.key AND p.block >= coalesce((lows ->> m.key)::bigint, 0)
      ORDER BY p.block LIMIT m.most) AS taken), 0)::integer
  FROM (
    SELECT k.key, coalesce(exact.running, named.running, nullif(k.given, 0), 1000000) AS most
    FROM unnest(keys, given) AS k (key, given)
    LEFT JOIN pgqueue.limits exact ON exact.name = k.key
    LEFT JOIN pgqueue.limits named ON named.name = split_part(k.key, '=', 1)) AS m
$$

-- function: admit
-- Gives permits, oldest job first; a job with several keys takes all or none. Each turn of the loop decides at least
-- the oldest job that is left: it fits, or one of its keys is full. If there is room for all, nothing is ranked.
-- Behind a job that is held nobody takes room of the same key: else what weighs little would pass what weighs much.
CREATE OR REPLACE FUNCTION pgqueue.admit(due pgqueue.candidate[], lows jsonb)
RETURNS pgqueue.decision[] LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
  ids bigint[];
  names text[];
  weights integer[];
  keys text[];
  free integer[];
  enough boolean;
  fits record;
  held pgqueue.decision[];
  decided pgqueue.decision[] := '{}';
BEGIN
  SELECT a.keys, a.free, a.ids, a.names, a.weights, a.enough INTO keys, free, ids, names, weights, enough FROM pgqueue.wanted(due, lows) AS a;
  IF enough THEN RETURN pgqueue.give(ids, names, weights); END IF;
  -- A key that a job names twice counts once: else the oldest job might neither fit nor find its keys full, for ever.
  SELECT array_agg(u.id), array_agg(u.key), array_agg(u.weight) INTO ids, names, weights FROM (
    SELECT w.id, w.key, max(w.weight) AS weight FROM unnest(ids, names, weights) AS w (id, key, weight) GROUP BY w.id, w.key) AS u;
  WHILE cardinality(ids) > 0 LOOP
    SELECT array_agg(q.id) FILTER (WHERE q.fits) AS ids, array_agg(q.key) FILTER (WHERE q.fits) AS names,
      array_agg(q.weight) FILTER (WHERE q.fits) AS weights,
      array_agg(ROW(q.id, 'limit:' || q.full, NULL, NULL, NULL)::pgqueue.decision) FILTER (WHERE q.full = q.key) AS held,
      array_agg(q.id) FILTER (WHERE q.open) AS open_ids, array_agg(q.key) FILTER (WHERE q.open) AS open_names,
      array_agg(q.weight) FILTER (WHERE q.open) AS open_weights
    INTO fits FROM (
      SELECT r.*, NOT r.fits AND r.full IS NULL AS open FROM (
        SELECT p.*, bool_and(p.place <= p.free) OVER of_job AS fits, min(p.key) FILTER (WHERE p.weight > p.free) OVER of_job AS full
        FROM (SELECT u.*, f.free, sum(u.weight) OVER (PARTITION BY u.key ORDER BY u.id) AS place
              FROM unnest(ids, names, weights) AS u (id, key, weight) JOIN unnest(keys, free) AS f (key, free) ON f.key = u.key) AS p
        WINDOW of_job AS (PARTITION BY p.id)) AS r) AS q;
    decided := decided || fits.held || pgqueue.give(fits.ids, fits.names, fits.weights);
    SELECT array_agg(f.key), array_agg(CASE WHEN h.key IS NULL THEN f.free - coalesce(t.n, 0)::integer ELSE 0 END) INTO keys, free
    FROM unnest(keys, free) AS f (key, free)
    LEFT JOIN (SELECT u.key, sum(u.weight) AS n FROM unnest(fits.names, fits.weights) AS u (key, weight) GROUP BY u.key) AS t ON t.key = f.key
    LEFT JOIN (SELECT DISTINCT substr(d.hold, 7) AS key FROM unnest(fits.held) AS d) AS h ON h.key = f.key;
    ids := fits.open_ids;
    names := fits.open_names;
    weights := fits.open_weights;
  END LOOP;
  IF EXISTS (SELECT FROM unnest(decided) AS d WHERE starts_with(substr(d.hold, 7), 'rate:')) THEN
    PERFORM pgqueue.await_rates(ARRAY(SELECT DISTINCT substr(d.hold, 7) FROM unnest(decided) AS d WHERE starts_with(substr(d.hold, 7), 'rate:')));
  END IF;
  RETURN decided;
END
$$

-- function: wanted
-- What jobs ask of which keys, how much of it is free, and whether that is enough for all of them.
CREATE OR REPLACE FUNCTION pgqueue.wanted(due pgqueue.candidate[], lows jsonb,
  OUT ids bigint[], OUT names text[], OUT weights integer[], OUT keys text[], OUT free integer[], OUT enough boolean)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
  plain text[];
  paced text[];
  plain_specs text[];
  paced_specs text[];
  asking text[];
  demands bigint[];
  bursts integer[];
BEGIN
  WITH asked AS MATERIALIZED (
    SELECT c.id, l FROM unnest(due) AS c, unnest(c.limits) AS l
  ), elements AS MATERIALIZED (  -- each is read once, however many jobs have it
    SELECT d.l, d.newest, d.n, s.spec, substr(d.l, strpos(d.l, ' ') + 1) AS key,
           coalesce(nullif(split_part(s.spec, '/', 4), '')::integer, 1) AS weight
    FROM (SELECT a.l, max(a.id) AS newest, count(*) AS n FROM asked a GROUP BY a.l) AS d, split_part(d.l, ' ', 1) AS s (spec)
  ), said AS (  -- the newest job says what its class says now
    SELECT DISTINCT ON (e.key) e.key, e.spec, starts_with(e.key, 'rate:') AS rated,
           sum(e.n * e.weight) OVER (PARTITION BY e.key)::bigint AS demand FROM elements e ORDER BY e.key, e.newest DESC
  )
  SELECT j.ids, j.names, j.weights, k.plain, k.plain_specs, k.paced, k.paced_specs, k.asking, k.demands
  INTO ids, names, weights, plain, plain_specs, paced, paced_specs, asking, demands
  FROM (SELECT array_agg(a.id) AS ids, array_agg(e.key) AS names, array_agg(e.weight) AS weights
        FROM asked a LEFT JOIN elements e ON e.l = a.l) AS j,
       (SELECT array_agg(s.key) FILTER (WHERE NOT s.rated) AS plain, array_agg(s.spec) FILTER (WHERE NOT s.rated) AS plain_specs,
               array_agg(s.key) FILTER (WHERE s.rated) AS paced, array_agg(s.spec) FILTER (WHERE s.rated) AS paced_specs,
               array_agg(s.key) AS asking, array_agg(s.demand) AS demands FROM said s) AS k;
  SELECT array_agg(r.key), array_agg(r.free), array_agg(r.burst), bool_and(a.demand <= r.free) INTO keys, free, bursts, enough FROM (
    SELECT r.key, r.free, NULL::integer AS burst FROM pgqueue.room(plain, plain_specs::integer[], lows) AS r WHERE plain IS NOT NULL
    UNION ALL SELECT r.* FROM pgqueue.rate_room(paced, paced_specs) AS r WHERE paced IS NOT NULL) AS r
  JOIN unnest(asking, demands) AS a (key, demand) ON a.key = r.key;
  IF paced IS NOT NULL THEN -- nothing may weigh more than can ever be free
    weights := ARRAY(SELECT least(u.weight, coalesce(b.burst, u.weight)) FROM unnest(names, weights) WITH ORDINALITY AS u (key, weight, n)
      LEFT JOIN unnest(keys, bursts) AS b (key, burst) ON b.key = u.key ORDER BY u.n);
  END IF;
END
$$

-- function: give
-- A permit for each key of a job, all with one number; rates are charged instead. Jobs of one key get numbers that
-- follow each other, in blocks that no other call writes into.
CREATE OR REPLACE FUNCTION pgqueue.give(ids bigint[], keys text[], weights integer[])
RETURNS pgqueue.decision[] LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
  rated constant boolean := EXISTS (SELECT FROM unnest(keys) AS k WHERE starts_with(k, 'rate:'));
  base bigint;
  decided pgqueue.decision[];
BEGIN
  IF ids IS NULL THEN RETURN '{}'; END IF;
  base := nextval('pgqueue.permit_numbers') | 63;
  PERFORM setval('pgqueue.permit_numbers', base + cardinality(ids));
  WITH asked AS (
    SELECT u.id, u.key, row_number() OVER (ORDER BY u.key COLLATE "C", u.id) AS place
    FROM unnest(ids, keys) AS u (id, key) WHERE NOT rated OR NOT starts_with(u.key, 'rate:')
  ), numbered AS MATERIALIZED (
    SELECT a.id, a.key, a.place, base + min(a.place) OVER (PARTITION BY a.id) AS number FROM asked a
  ), given AS (
    INSERT INTO pgqueue.permits (key, block, numbers, jobs)
    SELECT n.key, n.number >> 6, array_agg(n.number), array_agg(n.id) FROM numbered n GROUP BY n.key, n.number >> 6
  )
  SELECT coalesce(array_agg(ROW(n.id, NULL, n.number, NULL, NULL)::pgqueue.decision), '{}') INTO decided
  FROM numbered n WHERE n.number = base + n.place;
  IF rated THEN PERFORM pgqueue.charge(keys, weights); END IF;
  RETURN decided;
END
$$

-- function: freed_read
-- What the relay may read of the freed permits: first the gaps, then everything after the highest id it has seen, until
-- they are a batch; and whether there is more.
CREATE OR REPLACE FUNCTION pgqueue.freed_read(seen bigint, gaps int8multirange, batch integer, OUT ids bigint[], OUT more boolean)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  SELECT coalesce(array_agg(b.id) FILTER (WHERE b.ahead < batch), '{}'), coalesce(bool_or(b.ahead >= batch), false) FROM (
    SELECT found.id, sum(found.n) OVER (ORDER BY found.id) - found.n AS ahead FROM (
      (SELECT f.id, cardinality(f.permits) AS n FROM unnest(freed_read.gaps) AS gap
         JOIN pgqueue.freed f ON f.id >= lower(gap) AND f.id < upper(gap) AND f.id <= freed_read.seen
        ORDER BY f.id LIMIT freed_read.batch + 1)
      UNION ALL
      (SELECT f.id, cardinality(f.permits) AS n FROM pgqueue.freed f WHERE f.id > freed_read.seen ORDER BY f.id LIMIT freed_read.batch + 1)
    ) AS found) AS b
$$

-- function: take_freed
-- The permits of jobs that let go are deleted; returned is one element of each key that got room, and which keys were
-- busy: dead rows of the others are few. What nobody can read (a row of jobs written by hand) says nothing.
CREATE OR REPLACE FUNCTION pgqueue.take_freed(ids bigint[], OUT elements text[], OUT busy text[])
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  WITH told AS (
    DELETE FROM pgqueue.freed f WHERE f.id = ANY (take_freed.ids) RETURNING f.id, f.permits, f.limits
  ), let_go AS (  -- each element is read once, however many jobs had it
    SELECT u.l, array_agg(u.permit) AS permits, max(t.id) AS newest FROM told t, unnest(t.permits, t.limits) AS u (permit, l) GROUP BY u.l
  ), counted AS MATERIALIZED (
    SELECT e.given, substr(g.l, length(e.given) + 2) AS key, g.permits, g.newest FROM let_go g, split_part(g.l, ' ', 1) AS e (given)
    WHERE length(e.given) BETWEEN 1 AND 9 AND ltrim(e.given, '0123456789') = '' AND length(g.l) > length(e.given) + 1
  ), blocks AS MATERIALIZED (
    SELECT c.key, n >> 6 AS block, array_agg(n) AS numbers FROM counted c, unnest(c.permits) AS n GROUP BY c.key, n >> 6
  ), gone AS (
    DELETE FROM pgqueue.permits p USING blocks b WHERE p.key = b.key AND p.block = b.block AND p.numbers <@ b.numbers
  ), fewer AS (
    UPDATE pgqueue.permits p SET (numbers, jobs) = (
      SELECT array_agg(u.number), array_agg(u.job) FROM unnest(p.numbers, p.jobs) AS u (number, job) WHERE u.number <> ALL (b.numbers))
    FROM blocks b WHERE p.key = b.key AND p.block = b.block AND p.numbers && b.numbers AND NOT p.numbers <@ b.numbers
  )
  SELECT coalesce(array_agg(k.given || ' ' || k.key), '{}'), coalesce(array_agg(k.key) FILTER (WHERE k.n >= 5), '{}')
  FROM (SELECT DISTINCT ON (c.key) c.key, c.given, sum(cardinality(c.permits)) OVER (PARTITION BY c.key) AS n
        FROM counted c ORDER BY c.key, c.newest DESC) AS k
$$

-- function: lowest_permits
-- Below these blocks nothing of the key lives: what settled under an old snapshot leaves dead rows only there.
CREATE OR REPLACE FUNCTION pgqueue.lowest_permits(keys text[], lows jsonb)
RETURNS jsonb LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  SELECT CASE WHEN (SELECT count(*) FROM jsonb_object_keys(lows)) < 500 THEN lows ELSE '{}' END
    || coalesce(jsonb_object_agg(k.key, coalesce(
         (SELECT p.block FROM pgqueue.permits p WHERE p.key = k.key AND p.block >= coalesce((lows ->> k.key)::bigint, 0)
          ORDER BY p.block LIMIT 1), pg_sequence_last_value('pgqueue.permit_numbers') >> 6, 0)), '{}')
  FROM unnest(keys) AS k (key)
$$

-- function: free_permits
-- Deletes the permits of jobs that have let go, and admits jobs that waited for their keys. The state is like that of
-- the outbox: what was seen, the gaps, and a mark that moves up to `candidate` when every id up to there is known to be
-- read or gone; but it stays below what this very transaction takes: it may still roll back, setval does not.
-- In a hurry (the outbox has more than a batch) and as long as nobody waits for a key, permits are let lie until they are
-- several batches: their blocks are deleted whole then, instead of being written anew for each part. Who waits gets
-- room a batch at a time, as many as are admitted: room that is left over goes to newer jobs.
CREATE OR REPLACE FUNCTION pgqueue.free_permits(state jsonb, last_id bigint, own_xid xid8, batch integer, hurried boolean)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  mark constant bigint := coalesce(pg_sequence_last_value('pgqueue.freed_mark'), 0);
  seen bigint := greatest((state ->> 'seen')::bigint, mark);
  top bigint := seen;
  gaps int8multirange := coalesce((state ->> 'gaps')::int8multirange, '{}');
  candidate bigint := (state ->> 'candidate')::bigint;
  candidate_xid xid8 := (state ->> 'candidate_xid')::xid8;
  settled boolean := coalesce(pg_snapshot_xmin(pg_current_snapshot()) >= candidate_xid, false);
  ids bigint[];
  more boolean;
  lows jsonb := coalesce(state -> 'lows', '{}');
  told record;
  woken text[] := '{}';
BEGIN
  hurried := hurried AND NOT EXISTS (SELECT FROM pgqueue.jobs j WHERE j.hold >= 'limit:' AND j.hold < 'limit;');
  SELECT f.ids, f.more INTO ids, more FROM pgqueue.freed_read(seen, gaps, CASE WHEN hurried THEN 4 * batch ELSE batch END) AS f;
  IF hurried AND NOT more AND cardinality(ids) > 0 THEN
    ids := '{}';
    more := true;
  END IF;
  IF cardinality(ids) > 0 THEN
    SELECT * INTO told FROM pgqueue.take_freed(ids);
    IF cardinality(told.busy) > 0 THEN lows := pgqueue.lowest_permits(told.busy, lows); END IF;
    woken := ARRAY(SELECT pgqueue.admit_held(told.elements, lows, batch));
    top := greatest(seen, (SELECT max(i) FROM unnest(ids) AS i));
    gaps := (gaps + int8multirange(int8range(seen, top, '(]')))
            - (SELECT range_agg(int8range(i, i, '[]')) FROM unnest(ids) AS i);
  END IF;
  IF settled AND NOT more THEN
    gaps := gaps * int8multirange(int8range(candidate, NULL, '()'));
    IF least(candidate, (SELECT min(i) - 1 FROM unnest(ids) AS i)) > mark THEN
      PERFORM setval('pgqueue.freed_mark', least(candidate, (SELECT min(i) - 1 FROM unnest(ids) AS i)));
    END IF;
  END IF;
  IF candidate IS NULL OR (settled AND pg_sequence_last_value('pgqueue.freed_mark') >= candidate) THEN
    candidate := last_id;
    candidate_xid := own_xid;
  END IF;
  RETURN jsonb_build_object('woken', to_jsonb(woken), 'more', more, 'state', jsonb_build_object('lows', lows,
    'seen', top, 'gaps', gaps::text, 'candidate', candidate, 'candidate_xid', candidate_xid::text));
END
$$

-- function: admit_held
-- Oldest first, as many of each key as it has room for. Who then waits for another key, is locked by somebody, or was
-- too many for the batch leaves room behind: the key is told again, and the next round looks again. But if jobs of a key
-- were looked at and none left it although it had room (a class that allowed less), it waits for the next permit let go.
CREATE OR REPLACE FUNCTION pgqueue.admit_held(elements text[], lows jsonb, batch integer)
RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  keys text[];
  given integer[];
  due pgqueue.candidate[];
BEGIN
  IF NOT EXISTS (SELECT FROM pgqueue.jobs j WHERE j.hold >= 'limit:' AND j.hold < 'limit;') THEN RETURN; END IF;
  SELECT array_agg(k.key), array_agg(k.given) INTO keys, given FROM (
    SELECT substr(e, strpos(e, ' ') + 1) AS key, split_part(e, ' ', 1)::integer AS given FROM unnest(elements) AS e OFFSET 0) AS k
  WHERE EXISTS (SELECT FROM pgqueue.jobs j WHERE j.hold = 'limit:' || k.key);
  due := ARRAY(
    SELECT ROW(h.id, h.queue, h.lane, h.kind, h.organization_id, h.cost, h.limits, h.front, NULL)::pgqueue.candidate
    FROM pgqueue.room(keys, given, lows) AS r CROSS JOIN LATERAL (
      SELECT j.* FROM pgqueue.jobs j WHERE j.hold = 'limit:' || r.key
      ORDER BY j.enqueued_at, j.id LIMIT least(r.free, batch) FOR NO KEY UPDATE SKIP LOCKED) AS h
    WHERE r.free > 0 LIMIT batch);
  IF cardinality(due) > 0 THEN RETURN QUERY SELECT * FROM pgqueue.seat(due, lows); END IF;
  WITH looked_at AS MATERIALIZED (
    SELECT e.key, bool_or(j.hold IS DISTINCT FROM 'limit:' || e.key) AS gone
    FROM unnest(due) AS d JOIN pgqueue.jobs j ON j.id = d.id, unnest(d.limits) AS l, substr(l, strpos(l, ' ') + 1) AS e (key) GROUP BY e.key
  )
  INSERT INTO pgqueue.freed (permits, limits)
  SELECT '{0}', ARRAY[k.given || ' ' || k.key] FROM pgqueue.room(keys, given, lows) AS r
  JOIN unnest(keys, given) AS k (key, given) ON k.key = r.key LEFT JOIN looked_at a ON a.key = r.key
  WHERE r.free > 0 AND a.gone IS NOT FALSE AND EXISTS (SELECT FROM pgqueue.jobs j WHERE j.hold = 'limit:' || r.key);
END
$$

-- function: seat
-- What was locked and is due gets what was decided. Should a row be unreadable (somebody wrote it into jobs by hand, where
-- no CHECK looks at its limits, for every claim would pay for it), the batch is halved until it stands alone.
CREATE OR REPLACE FUNCTION pgqueue.seat(due pgqueue.candidate[], lows jsonb)
RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
DECLARE
  half constant integer := cardinality(due) / 2;
BEGIN
  IF cardinality(due) = 0 THEN RETURN; END IF;
  BEGIN
    RETURN QUERY SELECT * FROM pgqueue.seat_all(due, lows);
  EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
    IF cardinality(due) = 1 THEN
      PERFORM pgqueue.seat_bury((due[1]).id, SQLERRM);
    ELSE
      RETURN QUERY SELECT * FROM pgqueue.seat(due[:half], lows);
      RETURN QUERY SELECT * FROM pgqueue.seat(due[half + 1:], lows);
    END IF;
  END;
END
$$

-- function: seat_bury
-- A job that cannot be seated must not stop the others, as in the outbox: it becomes a dead letter that says why.
CREATE OR REPLACE FUNCTION pgqueue.seat_bury(job bigint, why text)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
  WITH gone AS (DELETE FROM pgqueue.jobs j WHERE j.id = seat_bury.job RETURNING j.*)
  INSERT INTO pgqueue.dead_jobs (id, reason, error, error_type, fingerprint, queue, kind, payload_version,
    organization_id, user_id, correlation_id, trace_id, args, errors, attempt, max_attempts, crashes, claims, lane,
    enqueued_at, run_at, unique_hash, limits, cost)
  SELECT g.id, 'unmovable', seat_bury.why, 'relay', md5('relay ' || g.kind), g.queue, g.kind, g.payload_version,
    g.organization_id, g.user_id, g.correlation_id, g.trace_id, g.args, g.errors, g.attempt, g.max_attempts, g.crashes,
    g.claims, g.lane, g.enqueued_at, g.run_at, g.unique_hash, g.limits, g.cost
  FROM gone g
$$

-- function: seat_all
-- Each gets a position or a hold, and its permits.
CREATE OR REPLACE FUNCTION pgqueue.seat_all(due pgqueue.candidate[], lows jsonb)
RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
DECLARE
  decisions constant pgqueue.decision[] := pgqueue.decide(due, lows);
BEGIN
  RETURN QUERY
  WITH placed AS MATERIALIZED (
    SELECT c.id, c.queue, c.lane, c.front, d.hold, d.permit, d.position, coalesce(d.limits, c.limits) AS limits,
           row_number() OVER (PARTITION BY c.queue, c.lane, d.hold IS NULL AND NOT c.front ORDER BY c.due_at, c.id) AS place
    FROM unnest(due) AS c LEFT JOIN unnest(decisions) AS d ON d.id = c.id
  ), heads AS MATERIALIZED (
    SELECT m.queue, m.lane, m.head, coalesce(pg_sequence_last_value(m.head), 0) AS last,
           greatest(pg_sequence_last_value(m.mark), 1) AS v
    FROM (SELECT DISTINCT p.queue, p.lane FROM placed p) used
    JOIN pgqueue.marks m ON m.queue = used.queue AND m.lane = used.lane
  ), updated AS (
    UPDATE pgqueue.jobs j
    SET position = CASE WHEN p.hold IS NOT NULL THEN NULL WHEN p.front THEN h.v ELSE coalesce(p.position, h.last + p.place) END,
        run_at = CASE WHEN p.hold IS NULL THEN j.run_at END, hold = p.hold, permit = p.permit, limits = p.limits,
        front = p.front AND p.hold IS NOT NULL
    FROM placed p JOIN heads h ON h.queue = p.queue AND h.lane = p.lane
    WHERE j.id = ANY (ARRAY(SELECT c.id FROM unnest(due) AS c)) AND j.id = p.id RETURNING j.queue, j.lane, j.position
  )
  SELECT u.queue FROM updated u JOIN heads h ON h.queue = u.queue AND h.lane = u.lane WHERE u.position IS NOT NULL
  GROUP BY u.queue, u.lane, h.head, h.last
  HAVING setval(h.head, greatest(h.last, max(u.position))) IS NOT NULL;
END
$$

-- function: promote_decided
-- promote for a batch in which a job has limits, or stands in a fair queue.
CREATE OR REPLACE FUNCTION pgqueue.promote_decided(low timestamptz, moment timestamptz, batch integer, lows jsonb)
RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  due constant pgqueue.candidate[] := ARRAY(
    SELECT ROW(j.id, j.queue, j.lane, j.kind, j.organization_id, j.cost, j.limits, j.front, j.run_at)::pgqueue.candidate
    FROM pgqueue.jobs j WHERE j.run_at IS NOT NULL AND j.position IS NULL AND j.run_at BETWEEN low AND moment
    ORDER BY j.run_at LIMIT batch FOR NO KEY UPDATE SKIP LOCKED);
BEGIN
  RETURN QUERY SELECT * FROM pgqueue.seat(due, lows);
END
$$

-- name: set_limit
-- Over what the class says, for all keys of a name or for one. Jobs that wait for them are looked at again.
WITH set AS (
  INSERT INTO pgqueue.limits (name, running, rate, set_by)
  VALUES (%(name)s, %(running)s::integer, %(rate)s::text, %(by)s::text)
  ON CONFLICT (name) DO UPDATE
  SET running = excluded.running, rate = excluded.rate, set_by = excluded.set_by, set_at = (SELECT pgqueue.clock())
  RETURNING name, running, rate
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), 'set', 'limit ' || s.name, jsonb_strip_nulls(jsonb_build_object('running', s.running, 'rate', s.rate)), 1
  FROM set s
)
SELECT pgqueue.look_again(%(name)s) AS keys

-- name: unset_limit
WITH gone AS (
  DELETE FROM pgqueue.limits r WHERE r.name = %(name)s RETURNING r.name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'unset', 'limit ' || g.name, 1 FROM gone g
)
SELECT g.name, pgqueue.look_again(g.name) FROM gone g

-- function: look_again
-- Tells the relay of a name, or a key, that more may run now. What each key's class says is read from its newest job.
CREATE OR REPLACE FUNCTION pgqueue.look_again(name text)
RETURNS bigint LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
  WITH told AS (
    INSERT INTO pgqueue.freed (permits, limits)
    SELECT '{0}', ARRAY[(SELECT l FROM pgqueue.jobs j, unnest(j.limits) AS l
                     WHERE j.hold = h.hold AND substr(l, strpos(l, ' ') + 1) = substr(h.hold, 7) ORDER BY j.enqueued_at DESC, j.id DESC LIMIT 1)]
    FROM (SELECT DISTINCT j.hold FROM pgqueue.jobs j WHERE j.hold = 'limit:' || look_again.name
            OR (j.hold > 'limit:' || look_again.name || '=' AND j.hold < 'limit:' || look_again.name || '>')) AS h
    WHERE NOT starts_with(substr(h.hold, 7), 'rate:')
    RETURNING id
  ), sooner AS (
    UPDATE pgqueue.rate_waits w SET due_at = (SELECT pgqueue.clock())
    WHERE w.key = look_again.name OR starts_with(w.key, look_again.name || '=')
  ) SELECT count(*) FROM told
$$

-- function: recall
-- A kind or a queue has just been limited: its jobs that stand in line without a permit are held, oldest first admitted
-- again by the relay; those that run get a permit each, even if they are too many: they may end. Its number is new, for
-- all keys of the job: the old one may stand where the relay does not look any more (lows). A batch at a time, in the
-- relay's place; returns how many there were.
CREATE OR REPLACE FUNCTION pgqueue.recall(name text, batch integer)
RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
  element constant text := '0 ' || recall.name;
  hold_as constant text := 'limit:' || recall.name;
  found bigint;
BEGIN
  IF NOT pgqueue.hold_turn('relay') THEN RETURN batch; END IF;
  WITH placed AS MATERIALIZED (
    SELECT j.id, j.claimed_by IS NULL AS waits, j.permit, j.limits FROM pgqueue.jobs j
    WHERE j.position IS NOT NULL AND ('queue:' || j.queue = recall.name OR 'kind:' || j.kind = recall.name)
      -- one that kept the name from an earlier time, and came in while nothing was limited, has no permit
      AND NOT coalesce(element = ANY (j.limits) AND j.permit IS NOT NULL, false)
    LIMIT batch FOR NO KEY UPDATE SKIP LOCKED
  ), numbered AS MATERIALIZED (
    SELECT p.*, array_remove(coalesce(p.limits, '{}'), element) || element AS counted,
           CASE WHEN NOT p.waits THEN nextval('pgqueue.permit_numbers') END AS number FROM placed p
  ), given AS (
    INSERT INTO pgqueue.permits AS p (key, block, numbers, jobs)
    SELECT k.key, n.number >> 6, array_agg(n.number), array_agg(n.id)
    FROM numbered n, unnest(n.counted) AS l, substr(l, strpos(l, ' ') + 1) AS k (key)
    WHERE NOT n.waits AND l ~ '^[0-9]+ .' GROUP BY k.key, n.number >> 6  -- no rates: they were charged
    ON CONFLICT (key, block) DO UPDATE SET numbers = p.numbers || excluded.numbers, jobs = p.jobs || excluded.jobs
  ), freed AS (
    INSERT INTO pgqueue.freed (permits, limits)
    SELECT array_agg(n.permit), array_agg(l) FROM numbered n, unnest(n.limits) AS l
    WHERE n.permit IS NOT NULL HAVING count(*) > 0
    UNION ALL SELECT '{0}', ARRAY[element] WHERE EXISTS (SELECT FROM numbered n WHERE n.waits)
  ), changed AS (
    UPDATE pgqueue.jobs j SET limits = n.counted, permit = n.number,
      position = CASE WHEN NOT n.waits THEN j.position END, run_at = CASE WHEN NOT n.waits THEN j.run_at END,
      hold = CASE WHEN n.waits THEN hold_as END
    FROM numbered n WHERE j.id = n.id RETURNING j.id
  )
  SELECT count(*) INTO found FROM changed;
  RETURN found;
END
$$

-- name: recall
SELECT pgqueue.recall(%(name)s, %(batch)s) AS recalled

-- name: limit_list
-- What is limited, and what counts against it; what was let go and not read yet is not counted.
WITH taken AS (
  SELECT p.key, count(*) AS jobs, max(u.job) AS newest FROM pgqueue.permits p, unnest(p.numbers, p.jobs) AS u (number, job)
  WHERE NOT EXISTS (SELECT FROM (SELECT unnest(f.permits) AS number FROM pgqueue.freed f) AS f WHERE f.number = u.number)
  GROUP BY p.key
), held AS (
  SELECT substr(j.hold, 7) AS key, count(*) AS jobs, max(j.id) AS newest FROM pgqueue.jobs j
  WHERE j.hold >= 'limit:' AND j.hold < 'limit;' GROUP BY j.hold
), counted AS (
  SELECT coalesce(t.key, h.key) AS key, coalesce(t.jobs, 0) AS taken, coalesce(h.jobs, 0) AS held,
         greatest(t.newest, h.newest) AS newest
  FROM taken t FULL JOIN held h ON h.key = t.key
)
SELECT coalesce(c.key, r.name), coalesce(r.running, named.running, (
    SELECT nullif(split_part(l, ' ', 1), '0')::integer FROM pgqueue.jobs j, unnest(j.limits) AS l
    WHERE j.id = c.newest AND substr(l, strpos(l, ' ') + 1) = c.key AND l ~ '^[0-9]{1,9} ')),
  coalesce(r.rate, named.rate, (SELECT x.spec FROM pgqueue.rates x WHERE x.key = c.key)), coalesce(c.taken, 0), coalesce(c.held, 0),
  coalesce(r.set_by, named.set_by), coalesce(r.set_at, named.set_at)
FROM counted c FULL JOIN pgqueue.limits r ON r.name = c.key
LEFT JOIN pgqueue.limits named ON named.name = split_part(c.key, '=', 1) AND r.name IS NULL
ORDER BY 5 DESC, 4 DESC, 1 LIMIT %(limit)s

-- name: limit_names
-- What a limit can be called that something counts against: keys in use, kinds that workers know or jobs have, queues.
SELECT split_part(p.key, '=', 1) FROM pgqueue.permits p
UNION SELECT split_part(substr(j.hold, 7), '=', 1) FROM pgqueue.jobs j WHERE j.hold >= 'limit:' AND j.hold < 'limit;'
UNION SELECT split_part(r.key, '=', 1) FROM pgqueue.rates r
UNION SELECT 'kind:' || split_part(k, '@', 1) FROM pgqueue.workers w, unnest(w.kinds) AS k
UNION SELECT 'kind:' || e.kind FROM (SELECT x.kind FROM pgqueue.outbox x LIMIT %(most)s) AS e
UNION SELECT 'kind:' || j.kind FROM (SELECT x.kind FROM pgqueue.jobs x LIMIT %(most)s) AS j
UNION SELECT 'queue:' || q.name FROM pgqueue.queues q
UNION SELECT 'queue:' || o.queue FROM (SELECT x.queue FROM pgqueue.outbox x LIMIT %(most)s) AS o
ORDER BY 1

-- name: sweep_permits
-- The net: a permit whose job has let it go without a word. Expected: none.
INSERT INTO pgqueue.freed (permits, limits)
SELECT ARRAY[u.number], ARRAY['0 ' || p.key]
FROM pgqueue.permits p, unnest(p.numbers, p.jobs) AS u (number, job) LEFT JOIN pgqueue.jobs j ON j.id = u.job
WHERE (j.permit = u.number AND j.position IS NOT NULL) IS NOT TRUE
  AND NOT EXISTS (SELECT FROM (SELECT unnest(f.permits) AS number FROM pgqueue.freed f) AS f WHERE f.number = u.number)
RETURNING permits[1]

-- name: sweep_held
-- The net: jobs that wait for a key of which nobody has a permit are looked at again.
SELECT count(pgqueue.look_again(k.key)) FROM (
  SELECT DISTINCT substr(j.hold, 7) AS key FROM pgqueue.jobs j WHERE j.hold >= 'limit:' AND j.hold < 'limit;') AS k
WHERE NOT EXISTS (SELECT FROM pgqueue.permits p WHERE p.key = k.key) AND NOT starts_with(k.key, 'rate:')
