-- Fairness: start-time fair queuing for each queue and lane whose order is "fair". V is the queue's mark (the first
-- unclaimed position), H its head; L, the last position given to an organization without debt, and F, where the next job
-- of an organization may start at the earliest, stand in `shares`. A job of cost 1 and weight 1 is 2^20 positions long.

-- function: place_fairly
-- Positions for jobs of fair queues, in order of id. An organization with debt (F > V, jobs that completed included)
-- goes on at F; one without gets the next place behind L, but never one before V.
CREATE OR REPLACE FUNCTION pgqueue.place_fairly(due pgqueue.candidate[])
RETURNS TABLE (id bigint, "position" bigint) LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS $$
  WITH line AS MATERIALIZED (
    SELECT c.id, c.queue, c.lane, c.organization_id,
           greatest(coalesce(c.cost, 1) * 1048576::bigint / coalesce(w.weight, 1), 1) AS cost
    FROM unnest(due) AS c LEFT JOIN pgqueue.weights w ON w.organization_id = c.organization_id
  ), lanes AS MATERIALIZED (
    SELECT u.queue, u.lane, greatest(pg_sequence_last_value(m.mark), 1) AS v, l.finish AS level
    FROM (SELECT DISTINCT c.queue, c.lane FROM line c) AS u JOIN pgqueue.marks m ON m.queue = u.queue AND m.lane = u.lane
    LEFT JOIN LATERAL (SELECT s.finish FROM pgqueue.shares s
      WHERE s.queue = u.queue AND s.lane = u.lane AND s.organization_id = '' ORDER BY s.finish DESC LIMIT 1) AS l ON true
  ), tenants AS MATERIALIZED (
    SELECT t.*, n.v, n.level, s.finish, coalesce(s.finish > n.v, false) AS owes
    FROM (SELECT c.queue, c.lane, c.organization_id, min(c.id) AS first, sum(c.cost)::bigint AS total
          FROM line c GROUP BY c.queue, c.lane, c.organization_id) AS t
    JOIN lanes n ON n.queue = t.queue AND n.lane = t.lane
    LEFT JOIN LATERAL (SELECT s.finish FROM pgqueue.shares s
      WHERE s.queue = t.queue AND s.lane = t.lane AND s.organization_id = t.organization_id
      ORDER BY s.finish DESC LIMIT 1) AS s ON true
  ), started AS MATERIALIZED (
    SELECT t.*, CASE WHEN t.owes THEN t.finish ELSE greatest(t.level + 1, t.v) - 1
                + row_number() OVER (PARTITION BY t.queue, t.lane, t.owes ORDER BY t.first) END AS start
    FROM tenants t
  ), added AS (
    INSERT INTO pgqueue.shares (queue, lane, organization_id, finish)
    SELECT s.queue, s.lane, s.organization_id, s.start + s.total FROM started s
    UNION ALL SELECT s.queue, s.lane, '', max(s.start) FROM started s WHERE NOT s.owes GROUP BY s.queue, s.lane
  ), gone AS (
    DELETE FROM pgqueue.shares x USING (
      SELECT s.queue, s.lane, s.organization_id, s.finish FROM started s WHERE s.finish IS NOT NULL
      UNION ALL SELECT DISTINCT s.queue, s.lane, '', s.level FROM started s WHERE NOT s.owes AND s.level IS NOT NULL) AS old
    WHERE x.queue = old.queue AND x.lane = old.lane AND x.organization_id = old.organization_id AND x.finish = old.finish
  )
  SELECT c.id, (s.start + sum(c.cost) OVER (PARTITION BY c.queue, c.lane, c.organization_id ORDER BY c.id) - c.cost)::bigint
  FROM line c JOIN started s ON s.queue = c.queue AND s.lane = c.lane AND s.organization_id = c.organization_id
$$

-- name: prune_shares
-- F at or below V says nothing any more. SKIP LOCKED: the relay may be using it.
DELETE FROM pgqueue.shares s WHERE s.ctid = ANY (ARRAY(
  SELECT x.ctid FROM pgqueue.marks m JOIN pgqueue.shares x ON x.queue = m.queue AND x.lane = m.lane
  WHERE x.finish <= greatest(pg_sequence_last_value(m.mark), 1) AND x.organization_id <> ''
  LIMIT 10000 FOR UPDATE OF x SKIP LOCKED))
RETURNING s.finish

-- name: set_orders
-- What the workers' settings say, unless somebody has set it at run time.
UPDATE pgqueue.queues q SET "order" = given.kind
FROM unnest(%(queues)s::text[], %(orders)s::text[]) AS given (queue, kind)
WHERE q.name = given.queue AND q.order_set_by IS NULL AND q."order" <> given.kind RETURNING q.name

-- name: set_order
WITH changed AS (
  UPDATE pgqueue.queues q SET "order" = coalesce(%(order)s::text, q."order"),
    order_set_by = CASE WHEN %(order)s::text IS NOT NULL THEN %(by)s::text END
  WHERE q.name = %(queue)s AND coalesce(%(order)s::text, q.order_set_by) IS NOT NULL RETURNING q.name
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), 'order', 'queue ' || c.name, jsonb_build_object('order', coalesce(%(order)s::text, 'unset')), 1
  FROM changed c
)
SELECT q.name FROM pgqueue.queues q WHERE q.name = %(queue)s

-- name: set_weight
WITH given AS (
  INSERT INTO pgqueue.weights (organization_id, weight, set_by) VALUES (%(organization_id)s, %(weight)s, %(by)s::text)
  ON CONFLICT (organization_id) DO UPDATE
  SET weight = excluded.weight, set_by = excluded.set_by, set_at = (SELECT pgqueue.clock())
  RETURNING organization_id, weight
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), 'set', 'weight ' || g.organization_id, jsonb_build_object('weight', g.weight), 1 FROM given g
)
SELECT g.weight FROM given g

-- name: unset_weight
WITH gone AS (
  DELETE FROM pgqueue.weights w WHERE w.organization_id = %(organization_id)s RETURNING w.organization_id
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, affected)
  SELECT left(%(by)s::text, 200), 'unset', 'weight ' || g.organization_id, 1 FROM gone g
)
SELECT g.organization_id FROM gone g

-- name: weight_list
SELECT w.organization_id, w.weight, w.set_by, w.set_at FROM pgqueue.weights w
ORDER BY w.weight DESC, w.organization_id LIMIT %(limit)s
