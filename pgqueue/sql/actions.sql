-- What people did: read here, written in the same statement as the act (in the chapter of what it acts on).

-- name: find_actions
-- The last first.
SELECT a.id, a.done_at, a.done_by, a.verb, a.target, a.affected, a.reason, a.filter::text,
  extract(epoch FROM (SELECT pgqueue.clock()) - a.done_at)::float8
FROM pgqueue.actions a
WHERE (%(verb)s::text IS NULL OR a.verb = %(verb)s)
  AND (%(by)s::text IS NULL OR a.done_by = %(by)s)
  AND (%(since)s::interval IS NULL OR a.done_at > (SELECT pgqueue.clock()) - %(since)s::interval)
ORDER BY a.id DESC LIMIT %(limit)s
