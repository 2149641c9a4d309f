-- What the testing kit sends on a test's own connection, inside the transaction that the test rolls back.
-- Sequences are not rolled back. So the kit never moves a mark (what it relays and claims is above every mark, and
-- stays above), gives positions only by the relay's own functions, and meanwhile keeps real relays out.

-- name: testing_keep_relays_out
-- Shared: tests do not wait for each other. A relay takes this row FOR UPDATE SKIP LOCKED, and so stands aside.
SELECT t.name FROM pgqueue.turns t WHERE t.name = 'relay' FOR SHARE

-- name: testing_enqueued
-- Rows of the outbox that this transaction wrote, savepoints included: their xmin is its id or a later one.
SELECT o.lane, array_agg(o.id ORDER BY o.id) AS ids FROM pgqueue.outbox o
WHERE o.lane IN (0, 1)
  AND ((o.xmin::text::bigint - pg_current_xact_id()::text::bigint) & 4294967295) < 2147483648
GROUP BY o.lane

-- name: testing_unknown_queues
SELECT DISTINCT o.queue FROM pgqueue.outbox o WHERE o.lane = %(lane)s AND o.id = ANY (%(ids)s)
  AND NOT EXISTS (SELECT FROM pgqueue.marks m WHERE m.queue = o.queue AND m.lane = o.priority)

-- name: testing_add_queues
SELECT pgqueue.add_queue(n.queue, n.priority) FROM (
  SELECT DISTINCT o.queue, o.priority FROM pgqueue.outbox o WHERE o.lane = %(lane)s AND o.id = ANY (%(ids)s)) n
WHERE NOT EXISTS (SELECT FROM pgqueue.marks m WHERE m.queue = n.queue AND m.lane = n.priority)

-- name: testing_patience
SELECT current_setting('lock_timeout') AS timeout

-- name: testing_wait_at_most
SELECT set_config('lock_timeout', %(timeout)s, true) AS timeout

-- name: testing_relay
-- The relay's own way: unique jobs are merged, and leave the outbox like the others.
SELECT unnest(r.moved) AS moved FROM pgqueue.relay_pass(
  CASE WHEN %(lane)s::integer = 0 THEN %(ids)s::bigint[] ELSE '{}' END,
  CASE WHEN %(lane)s::integer = 1 THEN %(ids)s::bigint[] ELSE '{}' END, '{}', '{}') r

-- name: testing_promote
-- As the slow sweep does it: without the mark of promote, which is not moved either.
-- First whoever was held behind an equal job that has ended, or by a limit that has room now.
SELECT q.p FROM (
  SELECT (SELECT count(*) FROM pgqueue.relay_release()) AS released,
         (SELECT count(*) FROM pgqueue.take_freed(ARRAY(SELECT f.id FROM pgqueue.freed f ORDER BY f.id LIMIT 1000)) t,
            LATERAL pgqueue.admit_held(t.elements, '{}', 1000)) AS admitted,
         (SELECT count(*) FROM pgqueue.admit_paced(1000, '{}')) AS paced OFFSET 0) r,
  LATERAL (SELECT pgqueue.promote(1000, true) AS p WHERE r.released + r.admitted + r.paced >= 0) q

-- name: testing_make_due
-- The next of the test's jobs that waits for later: its time has come.
UPDATE pgqueue.jobs j SET run_at = (SELECT pgqueue.clock())
WHERE j.id = (SELECT w.id FROM pgqueue.jobs w WHERE w.id = ANY (%(ids)s) AND w.run_at IS NOT NULL AND w.position IS NULL
              ORDER BY w.run_at, w.id LIMIT 1)
RETURNING j.id

-- name: testing_end_lease
-- As if the worker had been silent for longer than its lease.
UPDATE pgqueue.jobs j SET lease_until = (SELECT pgqueue.clock()) - interval '1 second'
WHERE j.id = %(id)s AND j.claims = %(claims)s AND j.claimed_by IS NOT NULL RETURNING j.id

-- name: testing_waiting
-- What was enqueued and has not run: of this transaction's outbox, and of the jobs that the kit has relayed.
SELECT o.id, 'enqueued' AS state, o.kind, o.queue, coalesce(o.run_at, o.enqueued_at + o.delay) AS run_at,
  extract(epoch FROM coalesce(o.run_at, o.enqueued_at + o.delay) - o.enqueued_at)::double precision AS run_in,
  o.payload_version, o.organization_id, o.user_id, o.args::text
FROM pgqueue.outbox o
WHERE o.lane IN (0, 1)
  AND ((o.xmin::text::bigint - pg_current_xact_id()::text::bigint) & 4294967295) < 2147483648
UNION ALL
SELECT j.id, CASE WHEN j.position IS NOT NULL THEN 'ready' WHEN j.hold IS NOT NULL THEN 'held' ELSE 'waiting' END,
  j.kind, j.queue, j.run_at, extract(epoch FROM j.run_at - j.enqueued_at)::double precision,
  j.payload_version, j.organization_id, j.user_id, j.args::text
FROM pgqueue.jobs j WHERE j.id = ANY (%(ids)s) AND j.claimed_by IS NULL
ORDER BY 1

-- name: testing_now
SELECT pgqueue.clock() AS now

-- name: testing_shift
-- Only for this transaction, whatever becomes of the function below.
SELECT set_config('pgqueue_test.clock_shift', %(shift)s, true) AS shift

-- name: testing_clock
-- In the test's transaction, and rolled back with it. Should it be committed, it is the true clock for everybody else.
CREATE OR REPLACE FUNCTION pgqueue.clock() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp()
  + coalesce(nullif(pg_catalog.current_setting('pgqueue_test.clock_shift', true), ''), '0')::interval $$

-- name: testing_database_clock
-- For everybody in this database, for good: only for databases that live as long as a test.
DO $$
BEGIN
  IF current_database() !~ '^pgqueue_test_' THEN
    RAISE EXCEPTION 'the clock of the database %% is not moved: it was not made for one test', current_database();
  END IF;
  EXECUTE format('CREATE OR REPLACE FUNCTION pgqueue.clock() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE '
                 'AS %%L', format('SELECT pg_catalog.clock_timestamp() + interval %%L',
                                 current_setting('pgqueue_test.clock_shift')));
END
$$
