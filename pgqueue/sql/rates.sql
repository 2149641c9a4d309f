-- Rates (GCRA): `paid_at` is when everything that was taken of a key would be paid at an even pace; what may still be taken
-- is the burst, less what is not paid yet. Jobs that find nothing left are held, and the relay admits the oldest of them
-- when its time has come: so no slot is ever given ahead, and none that was missed can pile up.
-- spec: "count/microseconds/burst". A caller's transaction may hold a key's row: the relay passes it and comes again.

-- function: rate_seconds
-- How long one unit takes to be paid.
CREATE OR REPLACE FUNCTION pgqueue.rate_seconds(spec text)
RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT split_part(spec, '/', 2)::double precision / split_part(spec, '/', 1)::double precision / 1000000 $$

-- function: rate_rows
-- Rows for keys that have none. A caller may just be making the same one, in a transaction that stays open.
CREATE OR REPLACE FUNCTION pgqueue.rate_rows(keys text[], specs text[])
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '2ms'
AS $$
DECLARE
  entry record;
BEGIN
  FOR entry IN SELECT k.key, k.spec FROM unnest(keys, specs) AS k (key, spec)
    WHERE NOT EXISTS (SELECT FROM pgqueue.rates r WHERE r.key = k.key) ORDER BY k.key
  LOOP
    BEGIN
      INSERT INTO pgqueue.rates (key, spec, paid_at) VALUES (entry.key, entry.spec, pgqueue.clock() - interval '1 second') ON CONFLICT DO NOTHING;
    EXCEPTION WHEN lock_not_available THEN
      NULL;  -- counts as locked
    END;
  END LOOP;
END
$$

-- function: rate_room
-- How much of each key may be taken now. Nothing: somebody has the row locked, or older jobs wait for the key.
CREATE OR REPLACE FUNCTION pgqueue.rate_room(keys text[], given text[])
RETURNS TABLE (key text, free integer, burst integer) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
DECLARE
  specs constant text[] := ARRAY(
    SELECT coalesce(exact.rate, named.rate, regexp_replace(k.spec, '^([^/]+/[^/]+/[^/]+).*$', '\1'))
    FROM unnest(keys, given) WITH ORDINALITY AS k (key, spec, n)
    LEFT JOIN pgqueue.limits exact ON exact.name = k.key
    LEFT JOIN pgqueue.limits named ON named.name = split_part(k.key, '=', 1) ORDER BY k.n);
  moment constant timestamptz := pgqueue.clock();
BEGIN
  PERFORM pgqueue.rate_rows(keys, specs);
  RETURN QUERY
  WITH locked AS MATERIALIZED (
    SELECT r.key, r.spec, greatest(extract(epoch FROM r.paid_at - moment), 0) / pgqueue.rate_seconds(r.spec) AS owed
    FROM pgqueue.rates r WHERE r.key = ANY (keys) ORDER BY r.key FOR UPDATE SKIP LOCKED
  ), changed AS ( -- what is owed are units, whatever they cost now
    UPDATE pgqueue.rates r SET spec = k.spec, paid_at = moment + l.owed * pgqueue.rate_seconds(k.spec) * interval '1 second'
    FROM locked l JOIN unnest(keys, specs) AS k (key, spec) ON k.key = l.key
    WHERE r.key = l.key AND l.spec <> k.spec
  )
  SELECT k.key, CASE WHEN l.key IS NULL OR w.key IS NOT NULL THEN 0
    ELSE greatest(0, floor(split_part(k.spec, '/', 3)::double precision - l.owed + 1e-6))::integer END,
    split_part(k.spec, '/', 3)::integer
  FROM unnest(keys, specs) AS k (key, spec) LEFT JOIN locked l ON l.key = k.key LEFT JOIN pgqueue.rate_waits w ON w.key = k.key;
END
$$

-- function: charge
-- What was taken; the rows are locked by rate_room.
CREATE OR REPLACE FUNCTION pgqueue.charge(keys text[], weights integer[])
RETURNS void LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
  UPDATE pgqueue.rates r
  SET paid_at = greatest(r.paid_at, (SELECT pgqueue.clock())) + t.n * pgqueue.rate_seconds(r.spec) * interval '1 second'
  FROM (SELECT u.key, sum(u.weight) AS n FROM unnest(keys, weights) AS u (key, weight)
        WHERE starts_with(u.key, 'rate:') GROUP BY u.key) AS t
  WHERE r.key = t.key
$$

-- function: await_rates
-- Writes down when the oldest job that is held for each key may go (if it is not stored yet: the next unit).
CREATE OR REPLACE FUNCTION pgqueue.await_rates(keys text[])
RETURNS void LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
  INSERT INTO pgqueue.rate_waits (key, spec, due_at)
  SELECT k.key, coalesce(r.spec, '1/1000000/1'), n.now + greatest(0.02, coalesce(
      greatest(extract(epoch FROM r.paid_at - n.now), 0) - (split_part(r.spec, '/', 3)::double precision
        - least(coalesce(o.weight, 1), split_part(r.spec, '/', 3)::integer)) * pgqueue.rate_seconds(r.spec), 0)) * interval '1 second'
  FROM unnest(keys) AS k (key) LEFT JOIN pgqueue.rates r ON r.key = k.key
  LEFT JOIN LATERAL (
    SELECT coalesce(substring(l FROM '^[^ /]+/[^ /]+/[^ /]+/([0-9]{1,9}) ')::integer, 1) AS weight
    FROM (SELECT j.limits FROM pgqueue.jobs j WHERE j.hold = 'limit:' || k.key ORDER BY j.enqueued_at, j.id LIMIT 1) AS h, unnest(h.limits) AS l
    WHERE substr(l, strpos(l, ' ') + 1) = k.key) AS o ON true, (SELECT pgqueue.clock() AS now) AS n
  ON CONFLICT DO NOTHING
$$

-- function: admit_paced
-- Jobs whose time has come, oldest first, as many of each key as may go.
CREATE OR REPLACE FUNCTION pgqueue.admit_paced(batch integer, lows jsonb)
RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  moment constant timestamptz := pgqueue.clock();
  keys text[];
  specs text[];
  due pgqueue.candidate[];
BEGIN
  IF NOT EXISTS (SELECT FROM pgqueue.rate_waits w WHERE w.due_at <= moment) THEN RETURN; END IF;
  WITH come AS (
    DELETE FROM pgqueue.rate_waits w WHERE w.key = ANY (ARRAY(
      SELECT x.key FROM pgqueue.rate_waits x WHERE x.due_at <= moment ORDER BY x.due_at LIMIT batch)) RETURNING w.key, w.spec
  )
  SELECT array_agg(c.key), array_agg(c.spec) INTO keys, specs FROM come c;
  due := ARRAY(
    SELECT ROW(h.id, h.queue, h.lane, h.kind, h.organization_id, h.cost, h.limits, h.front, NULL)::pgqueue.candidate
    FROM pgqueue.rate_room(keys, specs) AS r CROSS JOIN LATERAL (
      SELECT j.* FROM pgqueue.jobs j WHERE j.hold = 'limit:' || r.key
      ORDER BY j.enqueued_at, j.id LIMIT least(r.free, batch) FOR NO KEY UPDATE SKIP LOCKED) AS h
    WHERE r.free > 0 LIMIT batch);
  IF cardinality(due) > 0 THEN RETURN QUERY SELECT * FROM pgqueue.seat(due, lows); END IF;
  PERFORM pgqueue.await_rates(ARRAY(
    SELECT k FROM unnest(keys) AS k WHERE EXISTS (SELECT FROM pgqueue.jobs j WHERE j.hold = 'limit:' || k)));
END
$$

-- function: take
-- For code that is no job: takes `weight` units if they are there. Returns how long to wait: nothing (they are taken), or
-- until when they would be there (nothing was taken).
CREATE OR REPLACE FUNCTION pgqueue.take(key text, spec text, weight integer)
RETURNS interval LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  said constant text := coalesce((SELECT l.rate FROM pgqueue.limits l WHERE l.name = take.key),
    (SELECT l.rate FROM pgqueue.limits l WHERE l.name = split_part(take.key, '=', 1)), take.spec);
  step constant double precision := pgqueue.rate_seconds(said);
  burst constant integer := split_part(said, '/', 3)::integer;
  moment timestamptz;
  owed double precision;
  wait double precision;
BEGIN
  INSERT INTO pgqueue.rates (key, spec, paid_at) VALUES (take.key, said, pgqueue.clock() - interval '1 second') ON CONFLICT DO NOTHING;
  PERFORM FROM pgqueue.rates r WHERE r.key = take.key FOR UPDATE;
  moment := pgqueue.clock();
  owed := (SELECT greatest(extract(epoch FROM r.paid_at - moment), 0) / pgqueue.rate_seconds(r.spec) * step
           FROM pgqueue.rates r WHERE r.key = take.key);
  wait := owed + (least(weight, burst) - burst) * step;
  IF wait > 0.000001 THEN RETURN wait * interval '1 second'; END IF;
  UPDATE pgqueue.rates r SET spec = said, paid_at = moment + (owed + weight * step) * interval '1 second' WHERE r.key = take.key;
  RETURN interval '0';
END
$$

-- name: take
SELECT pgqueue.take(%(key)s, %(spec)s, %(weight)s) AS wait

-- name: prune_rates
-- What is paid says nothing any more.
DELETE FROM pgqueue.rates r WHERE r.ctid = ANY (ARRAY(
  SELECT x.ctid FROM pgqueue.rates x WHERE x.paid_at < (SELECT pgqueue.clock()) - interval '1 hour'
  LIMIT 10000 FOR UPDATE SKIP LOCKED))
RETURNING r.key
