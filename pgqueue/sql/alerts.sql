-- Alerts: measure, judge, tell. One process measures (the one with the upkeep role); what it decides is written only if
-- nobody decided since it looked, so that two of them raise an alert once. Messages are sent from a table.

-- name: count_attempts
-- What one process saw since the last time; append-only.
INSERT INTO pgqueue.attempt_counts (kind, succeeded, failed)
SELECT * FROM unnest(%(kinds)s::text[], %(succeeded)s::integer[], %(failed)s::integer[])

-- name: measure_dead_letters
SELECT 'kind ' || d.kind, count(*)::float8,
  format('%%s job(s) of %%s died lately; the last is %%s (%%s): pgqueue dead show %%s', count(*), d.kind, max(d.id),
         (array_agg(coalesce(d.error_type, d.reason) ORDER BY d.died_at DESC, d.id DESC))[1], max(d.id))
FROM (SELECT x.id, x.kind, x.error_type, x.reason, x.died_at FROM pgqueue.dead_jobs x
      WHERE x.died_at > (SELECT pgqueue.clock()) - %(age)s ORDER BY x.died_at DESC LIMIT 10000) AS d
GROUP BY d.kind ORDER BY count(*) DESC LIMIT 200

-- name: measure_long_wait
-- The next job of each queue that is open, and the oldest row that no relay has taken.
SELECT 'queue ' || n.queue, max(n.seconds), format('the next job of queue %%s has been due for %%s s: pgqueue queues',
                                                   n.queue, round(max(n.seconds)))
FROM (SELECT m.queue, extract(epoch FROM (SELECT pgqueue.clock()) - coalesce(j.run_at, j.enqueued_at))::float8 AS seconds
      FROM pgqueue.marks m JOIN pgqueue.queues q ON q.name = m.queue CROSS JOIN LATERAL (
        SELECT x.run_at, x.enqueued_at FROM pgqueue.jobs x
        WHERE x.queue = m.queue AND x.lane = m.lane AND x.position >= greatest(pg_sequence_last_value(m.mark), 1)
          AND x.claimed_by IS NULL ORDER BY x.position LIMIT 1) AS j
      WHERE q.paused_at IS NULL) AS n
GROUP BY n.queue
UNION ALL
SELECT 'outbox', o.seconds, format('job %%s was enqueued %%s s ago and no relay took it: pgqueue doctor', o.id, round(o.seconds))
FROM (SELECT x.id, extract(epoch FROM (SELECT pgqueue.clock()) - x.enqueued_at)::float8 AS seconds
      FROM (VALUES (0::smallint), (1::smallint)) AS l (lane) CROSS JOIN LATERAL (
        SELECT y.id, y.enqueued_at FROM pgqueue.outbox y WHERE y.lane = l.lane ORDER BY y.id LIMIT 1) AS x
      ORDER BY 2 DESC LIMIT 1) AS o

-- name: measure_failure_rate
SELECT 'kind ' || c.kind, sum(c.failed)::float8 / sum(c.failed + c.succeeded),
  format('%%s of %%s attempts of %%s failed lately: pgqueue dead list --kind %%s', sum(c.failed),
         sum(c.failed + c.succeeded), c.kind, c.kind)
FROM pgqueue.attempt_counts c WHERE c.sampled_at > (SELECT pgqueue.clock()) - %(age)s
GROUP BY c.kind HAVING sum(c.failed + c.succeeded) >= %(least)s ORDER BY 2 DESC LIMIT 200

-- name: measure_silent_worker
SELECT format('worker %%s %%s', w.host, w.pid), max(s.seconds),
  format('worker %%s on %%s has not been heard of for %%s s, while it held %%s job(s): pgqueue workers', w.pid, w.host,
         round(max(s.seconds)), sum(w.running))
FROM pgqueue.workers w,
  LATERAL (SELECT extract(epoch FROM (SELECT pgqueue.clock()) - w.heartbeat_at)::float8 AS seconds) AS s
GROUP BY w.host, w.pid ORDER BY 2 DESC LIMIT 200

-- name: measure_missed_tick
-- An entry that left the code of all workers is nobody's miss.
SELECT 'schedule ' || s.name, o.seconds, format('schedule %%s should have fired %%s s ago', s.name, round(o.seconds))
FROM pgqueue.schedules s,
  LATERAL (SELECT extract(epoch FROM (SELECT pgqueue.clock()) - coalesce(s.next_run_at, s.changed_at))::float8 AS seconds) AS o
WHERE s.paused_at IS NULL AND o.seconds > 0
  AND (s.source = 'added' OR s.listed_at > (SELECT pgqueue.clock()) - %(stale)s::interval) ORDER BY 2 DESC LIMIT 200

-- name: measure_open_breaker
SELECT 'breaker ' || b.dependency || ' ' || b.host, o.seconds,
  format('nothing is sent to %%s %%s for %%s s: pgqueue breakers', b.dependency, b.host, round(o.seconds))
FROM pgqueue.breakers b,
  LATERAL (SELECT extract(epoch FROM (SELECT pgqueue.clock()) - b.opened_at)::float8 AS seconds) AS o
WHERE b.state <> 'closed' ORDER BY 2 DESC LIMIT 200

-- name: alert_standings
-- `recent`: judged so shortly ago that this sample is one too many (another process has just had the role).
SELECT a.rule, a.subject, a.version, a.streak, a.raised_at IS NOT NULL,
  extract(epoch FROM n.now - a.told_at)::float8, a.sampled_at > n.now - %(recent)s::interval
FROM pgqueue.alerts a, (SELECT pgqueue.clock() AS now) n

-- name: write_alerts
-- Of two that judged the same standing one writes; its messages go with it, one for each channel.
WITH step AS MATERIALIZED (
  SELECT s.*, n.now FROM unnest(%(rules)s::text[], %(subjects)s::text[], %(versions)s::integer[], %(streaks)s::integer[],
    %(raised)s::boolean[], %(values)s::float8[], %(events)s::text[], %(texts)s::text[])
    AS s (rule, subject, version, streak, raised, value, event, text), (SELECT pgqueue.clock() AS now) n
), written AS (
  INSERT INTO pgqueue.alerts AS a (rule, subject, version, streak, value, raised_at, told_at, sampled_at, text)
  SELECT s.rule, s.subject, s.version, s.streak, s.value, CASE WHEN s.raised THEN s.now END,
    CASE WHEN s.event IS NOT NULL THEN s.now END, s.now, s.text
  FROM step s ORDER BY s.rule, s.subject
  ON CONFLICT (rule, subject) DO UPDATE
  SET version = excluded.version, streak = excluded.streak, value = excluded.value, text = excluded.text,
      raised_at = CASE WHEN excluded.raised_at IS NULL THEN NULL ELSE coalesce(a.raised_at, excluded.raised_at) END,
      told_at = coalesce(excluded.told_at, a.told_at), sampled_at = excluded.sampled_at
  WHERE a.version = excluded.version - 1
  RETURNING a.rule, a.subject, a.version, a.raised_at
)
INSERT INTO pgqueue.alert_messages (key, channel, event, rule, subject, value, text, raised_at)
SELECT format('%%s/%%s/%%s/%%s', s.rule, s.subject, (extract(epoch FROM s.now) * 1000)::bigint, s.event), c, s.event,
  s.rule, s.subject, s.value, s.text, coalesce(w.raised_at, o.raised_at, s.now)
FROM step s JOIN written w ON w.rule = s.rule AND w.subject = s.subject AND w.version = s.version
LEFT JOIN pgqueue.alerts o ON o.rule = s.rule AND o.subject = s.subject
CROSS JOIN unnest(%(channels)s::text[]) AS c
WHERE s.event IS NOT NULL RETURNING id

-- name: take_message
-- One message of a channel. The next try is moved ahead first: if this sender is killed, another one sends it then.
UPDATE pgqueue.alert_messages m SET tries = m.tries + 1, next_try_at = (SELECT pgqueue.clock()) + %(lasts)s::interval
WHERE m.id = (SELECT x.id FROM pgqueue.alert_messages x
              WHERE x.channel = %(channel)s AND x.next_try_at <= (SELECT pgqueue.clock())
              ORDER BY x.next_try_at, x.id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING m.id, m.tries, m.key, m.event, m.rule, m.subject, m.value, m.text, m.raised_at, m.made_at

-- name: end_message
-- error NULL: it was sent. again NULL: no further try.
UPDATE pgqueue.alert_messages m
SET next_try_at = CASE WHEN %(error)s::text IS NOT NULL THEN (SELECT pgqueue.clock()) + %(again)s::interval END,
    sent_at = CASE WHEN %(error)s::text IS NULL THEN (SELECT pgqueue.clock()) END, error = %(error)s::text
WHERE m.id = %(id)s RETURNING m.id

-- name: prune_alerts
WITH quiet AS (
  DELETE FROM pgqueue.alerts a
  WHERE a.raised_at IS NULL AND a.streak = 0 AND a.sampled_at < (SELECT pgqueue.clock()) - interval '1 day'
), told AS (
  DELETE FROM pgqueue.alert_messages m WHERE m.made_at < (SELECT pgqueue.clock()) - interval '30 days'
)
DELETE FROM pgqueue.attempt_counts c WHERE c.sampled_at < (SELECT pgqueue.clock()) - %(age)s RETURNING c.kind

-- name: find_alerts
SELECT a.rule, a.subject, a.value, a.raised_at, a.told_at, a.sampled_at, a.text,
  extract(epoch FROM n.now - a.raised_at)::float8, extract(epoch FROM n.now - a.sampled_at)::float8
FROM pgqueue.alerts a, (SELECT pgqueue.clock() AS now) n WHERE a.raised_at IS NOT NULL ORDER BY a.raised_at, a.rule, a.subject

-- name: find_messages
-- The last first; with `unsent`, only what was not delivered.
SELECT m.key, m.channel, m.event, m.rule, m.subject, m.made_at, m.tries, m.next_try_at, m.sent_at, m.error
FROM pgqueue.alert_messages m WHERE m.sent_at IS NULL OR NOT %(unsent)s::boolean ORDER BY m.id DESC LIMIT %(limit)s
