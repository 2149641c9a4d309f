-- Idempotency beyond the queue: what was done once, and locks with a time to live.

-- name: once
-- In the transaction of the effect. A concurrent one with the same key waits for this one's end, and learns it.
INSERT INTO pgqueue.once_keys AS o (organization_id, key, done_at, keep_until)
SELECT %(organization_id)s, %(key)s, n.now, n.now + %(keep)s FROM (SELECT pgqueue.clock() AS now) AS n
ON CONFLICT (organization_id, key) DO UPDATE SET done_at = excluded.done_at, keep_until = excluded.keep_until
WHERE o.keep_until <= excluded.done_at
RETURNING true

-- function: lock_acquire
-- Returns the fence, or NULL and how long the lock may still be held. The fence is drawn while the row is locked, so it
-- grows from holder to holder. A transaction that has asserted the lock keeps it from everybody else until it ends.
CREATE OR REPLACE FUNCTION pgqueue.lock_acquire(name text, ttl interval)
RETURNS TABLE (fence bigint, seconds_left double precision) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
  moment constant timestamptz := pgqueue.clock();
BEGIN
  BEGIN
    RETURN QUERY
    INSERT INTO pgqueue.locks AS l (name, fence, expires_at)
    VALUES (lock_acquire.name, nextval('pgqueue.lock_fences'), moment + lock_acquire.ttl)
    ON CONFLICT ON CONSTRAINT locks_pkey DO UPDATE SET fence = nextval('pgqueue.lock_fences'), expires_at = excluded.expires_at
    WHERE l.expires_at <= moment RETURNING l.fence, NULL::double precision;
    IF FOUND THEN RETURN; END IF;
  EXCEPTION WHEN lock_not_available THEN
    NULL;  -- its holder's transaction is about to end
  END;
  RETURN QUERY SELECT NULL::bigint, coalesce(
    (SELECT greatest(extract(epoch FROM l.expires_at - moment), 1)::double precision FROM pgqueue.locks l
     WHERE l.name = lock_acquire.name), 1);
END
$$

-- name: lock_acquire
SELECT a.fence, a.seconds_left FROM pgqueue.lock_acquire(%(lock)s, %(ttl)s) a

-- name: lock_extend
UPDATE pgqueue.locks SET expires_at = (SELECT pgqueue.clock()) + %(ttl)s WHERE name = %(lock)s AND fence = %(fence)s RETURNING true

-- name: lock_release
-- Never waits: a transaction that has asserted the lock may be the caller's own.
DELETE FROM pgqueue.locks WHERE name = ANY (ARRAY(
  SELECT l.name FROM pgqueue.locks l WHERE l.name = %(lock)s AND l.fence = %(fence)s FOR UPDATE SKIP LOCKED)) RETURNING true

-- name: lock_held
-- In the transaction of the effect: nobody can take the lock over before that transaction has ended.
SELECT true FROM pgqueue.locks l
WHERE l.name = %(lock)s AND l.fence = %(fence)s AND l.expires_at > (SELECT pgqueue.clock()) FOR SHARE

-- name: prune_once
DELETE FROM pgqueue.once_keys k WHERE k.ctid = ANY (ARRAY(
  SELECT o.ctid FROM pgqueue.once_keys o WHERE o.keep_until < (SELECT pgqueue.clock())
  ORDER BY o.keep_until LIMIT 1000 FOR UPDATE SKIP LOCKED)) RETURNING true

-- name: prune_locks
DELETE FROM pgqueue.locks l WHERE l.name = ANY (ARRAY(
  SELECT o.name FROM pgqueue.locks o WHERE o.expires_at < (SELECT pgqueue.clock()) - interval '1 hour'
  ORDER BY o.expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED)) RETURNING true
