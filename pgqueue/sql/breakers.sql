-- Circuit breakers, shared by all processes. Every statement decides by the database's clock and is a transaction of its
-- own. While a breaker is closed a process reads what is unwell about once a second, for all its breakers at once.

-- name: read_breakers
-- What is not listed is closed and has no failures.
SELECT b.dependency, b.host, b.state, b.failures,
  extract(epoch FROM CASE WHEN b.state = 'half_open' THEN b.probe_until ELSE b.open_until END - (SELECT pgqueue.clock()))::float8
FROM pgqueue.breakers b WHERE b.state <> 'closed' OR b.failures > 0

-- name: count_failure
-- Returns the failures in a row over all processes. What fails late, when the circuit is no longer closed, counts no more.
INSERT INTO pgqueue.breakers AS b (dependency, host, failures, last_error)
VALUES (%(dependency)s, %(host)s, 1, %(error)s)
ON CONFLICT (dependency, host) DO UPDATE
SET failures = b.failures + (b.state = 'closed')::int, last_error = excluded.last_error
RETURNING b.failures

-- name: clear_failures
UPDATE pgqueue.breakers b SET failures = 0
WHERE b.dependency = %(dependency)s AND b.host = %(host)s AND b.state = 'closed' AND b.failures > 0 RETURNING b.failures

-- name: trip_breaker
-- Of many processes that see the last failure one opens the circuit; it gets the row and tells.
UPDATE pgqueue.breakers b
SET state = 'open', opened_at = n.now, open_until = n.now + %(reset)s::interval, changed_at = n.now, changed_by = ''
FROM (SELECT pgqueue.clock() AS now) n
WHERE b.dependency = %(dependency)s AND b.host = %(host)s AND b.state = 'closed' RETURNING b.failures

-- name: take_probe
-- The row lock makes it one call over all processes. A prober that was killed blocks for as long as its time says.
UPDATE pgqueue.breakers b
SET state = 'half_open', probe = %(probe)s, probe_until = n.now + %(lasts)s::interval, changed_at = n.now
FROM (SELECT pgqueue.clock() AS now) n
WHERE b.dependency = %(dependency)s AND b.host = %(host)s
  AND ((b.state = 'open' AND b.open_until <= n.now) OR (b.state = 'half_open' AND b.probe_until <= n.now))
RETURNING true

-- name: end_probe
-- Only the call that has the probe may end it: good (closed), bad (open for another while), or untold (open, due at once).
UPDATE pgqueue.breakers b
SET state = CASE WHEN %(good)s::boolean THEN 'closed' ELSE 'open' END,
    failures = CASE WHEN %(good)s::boolean THEN 0 ELSE b.failures END,
    opened_at = CASE WHEN %(good)s::boolean THEN NULL ELSE b.opened_at END,
    open_until = CASE WHEN %(good)s::boolean THEN NULL ELSE n.now + %(reset)s::interval END,
    probe = NULL, probe_until = NULL, changed_at = n.now, changed_by = ''
FROM (SELECT pgqueue.clock() AS now) n
WHERE b.dependency = %(dependency)s AND b.host = %(host)s AND b.state = 'half_open' AND b.probe = %(probe)s
RETURNING true

-- name: find_breakers
SELECT b.dependency, b.host, b.state, b.failures, b.opened_at, b.open_until, b.probe_until, b.last_error, b.changed_at,
  b.changed_by, extract(epoch FROM n.now - b.opened_at)::float8, extract(epoch FROM b.open_until - n.now)::float8
FROM pgqueue.breakers b, (SELECT pgqueue.clock() AS now) n
WHERE (%(dependency)s::text IS NULL OR b.dependency = %(dependency)s) AND (%(host)s::text IS NULL OR b.host = %(host)s)
ORDER BY b.state = 'closed', b.dependency, b.host LIMIT %(limit)s

-- name: open_breaker
-- By a person: for as long as they say, or (NULL) until somebody closes it.
WITH opened AS (
  INSERT INTO pgqueue.breakers AS b (dependency, host, state, opened_at, open_until, changed_at, changed_by)
  SELECT %(dependency)s, %(host)s, 'open', n.now, n.now + %(lasts)s::interval, n.now, %(by)s
  FROM (SELECT pgqueue.clock() AS now) n
  ON CONFLICT (dependency, host) DO UPDATE
  SET state = 'open', opened_at = coalesce(b.opened_at, excluded.opened_at), open_until = excluded.open_until,
      probe = NULL, probe_until = NULL, changed_at = excluded.changed_at, changed_by = excluded.changed_by
  RETURNING b.dependency, b.host
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected, filter)
  SELECT left(%(by)s::text, 200), 'open', 'breaker ' || o.dependency || ' ' || o.host, 1, jsonb_strip_nulls(jsonb_build_object('for', %(lasts)s::interval))
  FROM opened o
)
SELECT true FROM opened

-- name: close_breaker
WITH closed AS (
  UPDATE pgqueue.breakers b
  SET state = 'closed', failures = 0, opened_at = NULL, open_until = NULL, probe = NULL, probe_until = NULL,
      changed_at = (SELECT pgqueue.clock()), changed_by = %(by)s::text
  WHERE b.dependency = %(dependency)s AND b.host = %(host)s RETURNING b.dependency, b.host
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'close', 'breaker ' || c.dependency || ' ' || c.host, 1 FROM closed c
)
SELECT true FROM closed

-- name: reset_breaker
-- Forgets it: closed, no failures, no row.
WITH gone AS (
  DELETE FROM pgqueue.breakers b WHERE b.dependency = %(dependency)s AND b.host = %(host)s RETURNING b.dependency, b.host
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'reset', 'breaker ' || g.dependency || ' ' || g.host, 1 FROM gone g
)
SELECT true FROM gone

-- name: prune_breakers
-- Hosts come and go; what has been well for long is forgotten.
DELETE FROM pgqueue.breakers b WHERE ctid = ANY (ARRAY(
  SELECT o.ctid FROM pgqueue.breakers o
  WHERE o.state = 'closed' AND o.failures = 0 AND o.changed_at < (SELECT pgqueue.clock()) - %(age)s
  LIMIT 1000 FOR UPDATE SKIP LOCKED))
RETURNING b.dependency
