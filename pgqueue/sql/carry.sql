-- An outbox in another database than the queue: offer → carry → taken, round by round.
-- offer and taken are sent to the database of the application (the source), carry to the queue's own.
-- The ledger `carried` makes it exactly once: what stands there is never inserted again, and a row leaves it only
-- after the delete in the source's outbox is committed. The turn is the fence: whoever lost it cannot carry.

-- function: offer
-- What may be carried now: committed rows, both lanes, at most 8 MB. Like the relay it reads from low-water marks, and
-- its caller passes `state` again only if the round before came to its end. The rows go through the carrier as text that
-- it does not read: no client may round their numbers, and reading them took longer than to carry them.
CREATE OR REPLACE FUNCTION pgqueue.offer(state jsonb, batch integer)
RETURNS jsonb LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' SET datestyle = 'ISO' SET jit = off SET enable_seqscan = off
AS $$
DECLARE
  marks constant bigint[] := ARRAY[coalesce(pg_sequence_last_value('pgqueue.outbox_mark_single'), 0),
                                   coalesce(pg_sequence_last_value('pgqueue.outbox_mark_bulk'), 0)];
  seen bigint[] := ARRAY[coalesce((state #>> '{seen,0}')::bigint, marks[1]), coalesce((state #>> '{seen,1}')::bigint, marks[2])];
  top constant bigint := coalesce((state ->> 'top')::bigint, least(marks[1], marks[2]));
  gaps constant int8multirange := coalesce((state ->> 'gaps')::int8multirange, '{}');
  candidate bigint := (state ->> 'candidate')::bigint;
  candidate_xid xid8 := (state ->> 'candidate_xid')::xid8;
  -- In this order: any transaction that took an id up to last_id had its transaction id before we get ours.
  last_id constant bigint := (SELECT s.last_value - (NOT s.is_called)::int FROM pgqueue.job_ids s);
  own_xid xid8;
  -- Looked at before the rows are: what is settled by now is seen by the snapshot that reads them.
  settled bigint := CASE WHEN pg_snapshot_xmin(pg_current_snapshot()) >= candidate_xid THEN candidate END;
  ids bigint[];
  singles bigint[];
  bulk bigint[];
  rows jsonb;
  cut boolean;
  advanced jsonb;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'pgqueue.offer needs READ COMMITTED, this transaction is %', current_setting('transaction_isolation');
  END IF;
  SELECT coalesce(array_agg(w.id) FILTER (WHERE w.lane = 0), '{}'), coalesce(array_agg(w.id) FILTER (WHERE w.lane = 1), '{}'),
         array_agg(w.id), jsonb_agg(w.row), bool_or(w.cut)
  INTO singles, bulk, ids, rows, cut FROM pgqueue.outbox_within(seen, gaps, batch) w;
  IF cut THEN settled := NULL; END IF;  -- rows that were read and not offered must stay above the marks
  IF ids IS NULL AND state IS NOT NULL AND isempty(gaps) AND top >= last_id THEN
    RETURN jsonb_build_object('ids', '[]'::jsonb, 'rows', '[]'::jsonb, 'state', state);  -- an idle source writes nothing
  END IF;
  own_xid := pg_current_xact_id();
  advanced := pgqueue.outbox_advance(seen, top, gaps, marks, settled, singles, bulk, ids);
  IF candidate IS NULL OR (advanced ->> 'low')::bigint >= candidate THEN
    candidate := last_id;
    candidate_xid := own_xid;
  END IF;
  RETURN jsonb_build_object('ids', to_jsonb(coalesce(ids, '{}')), 'rows', coalesce(rows, '[]'), 'state', (advanced -> 'state')
    || jsonb_build_object('candidate', candidate, 'candidate_xid', candidate_xid::text));
END
$$

-- function: outbox_within
-- The rows that outbox_read finds, lane by lane, as long as all before them take less than 8 MB together (cut: there may
-- be more): a message
-- must fit into memory, and jsonb ends at 256 MB. In the row stands the lane that it gets in the queue.
CREATE OR REPLACE FUNCTION pgqueue.outbox_within(seen bigint[], gaps int8multirange, batch integer)
RETURNS TABLE (lane smallint, id bigint, "row" jsonb, cut boolean) LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' SET datestyle = 'ISO'
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  WITH found AS MATERIALIZED (
    SELECT x.lane, x.id, to_jsonb(x) || '{"lane": 2}' AS data,
           sum(pg_column_size(x.args)) OVER (ORDER BY x.lane, x.id) - pg_column_size(x.args) AS before,
           sum(pg_column_size(x.args)) OVER () >= 8388608 AS cut
    FROM (
      SELECT o.* FROM pgqueue.outbox o
      WHERE o.lane = 0 AND o.id = ANY ((SELECT pgqueue.outbox_read(0::smallint, seen[1], gaps, batch))::bigint[])
      UNION ALL
      SELECT o.* FROM pgqueue.outbox o
      WHERE o.lane = 1 AND o.id = ANY ((SELECT pgqueue.outbox_read(1::smallint, seen[2], gaps, batch))::bigint[])) AS x
  ) SELECT f.lane, f.id, f.data, f.cut FROM found f WHERE f.before < 8388608
$$

-- name: offer
SELECT (o - 'rows')::text AS result, (o -> 'rows')::text AS rows FROM pgqueue.offer(%(state)s::text::jsonb, %(batch)s) AS o

-- function: carry
-- Offered rows become jobs, in one transaction with their rows in the ledger. `done`: ids of earlier rounds whose delete
-- in the source is committed. Returns no turn if it is somebody else's: then nothing was changed.
CREATE OR REPLACE FUNCTION pgqueue.carry(
  source text, token bigint, term interval, offered jsonb, done bigint[], wake text DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' SET datestyle = 'ISO' SET lock_timeout = '500ms'
SET jit = off SET enable_seqscan = off
AS $$
DECLARE
  of_source constant smallint := (SELECT s.number FROM pgqueue.sources s WHERE s.name = carry.source);
  role constant text := 'carry_' || of_source;
  answer jsonb := jsonb_build_object('turn', NULL, 'role', role, 'carried', 0, 'woken', '[]'::jsonb, 'left', '[]'::jsonb);
  fresh bigint[];
  passed record;
  remaining bigint[];
BEGIN
  IF of_source IS NULL THEN
    RAISE EXCEPTION 'unknown source "%"', source USING HINT = 'Add it: pgqueue sources add NAME URL';
  ELSIF EXISTS (SELECT FROM jsonb_to_recordset(offered) AS r (id bigint) WHERE r.id >> 44 <> of_source) THEN
    RAISE EXCEPTION 'the source "%" gave a job id that is not of its range', source
      USING HINT = 'Two databases carry the same number, or it enqueued before it was added: pgqueue sources list';
  END IF;
  -- Under the lock: what was read from the source under a turn that somebody else has had since may be stale.
  IF NOT pgqueue.hold_turn(role) OR (token IS NOT NULL AND
     token <> pg_sequence_last_value(format('pgqueue.%I', 'turn_' || role)::regclass)) THEN RETURN answer; END IF;
  answer := answer || jsonb_build_object('turn', pgqueue.take_turn(role, token, term));
  IF answer ->> 'turn' IS NULL THEN RETURN answer; END IF;
  DELETE FROM pgqueue.carried c WHERE c.source = of_source AND c.id = ANY (done);
  IF jsonb_array_length(offered) = 0 THEN RETURN answer; END IF;
  IF NOT pgqueue.hold_turn('relay') THEN RETURN answer || '{"busy": true}'; END IF;
  WITH noted AS (
    INSERT INTO pgqueue.carried (source, id)
    SELECT of_source, r.id FROM jsonb_to_recordset(offered) AS r (id bigint) ORDER BY r.id ON CONFLICT DO NOTHING RETURNING id
  ) SELECT coalesce(array_agg(n.id ORDER BY n.id), '{}') INTO fresh FROM noted n;
  -- Lane 2 is filled and emptied inside this transaction: nobody else ever sees a row there.
  INSERT INTO pgqueue.outbox SELECT r.* FROM jsonb_populate_recordset(NULL::pgqueue.outbox, offered) AS r
  WHERE r.id IN (SELECT unnest(fresh));
  SELECT * INTO passed FROM pgqueue.relay_pass('{}', '{}', fresh, '{}');
  WITH back AS (DELETE FROM pgqueue.outbox o WHERE o.lane = 2 RETURNING o.id)
  SELECT coalesce(array_agg(b.id), '{}') INTO remaining FROM back b;  -- it stands in the source, and is offered again
  DELETE FROM pgqueue.carried c WHERE c.source = of_source AND c.id = ANY (remaining);
  IF wake IS NOT NULL AND pg_notification_queue_usage() < 0.5 THEN
    PERFORM pg_notify(wake, q) FROM unnest(passed.woken) q;
  END IF;
  RETURN answer || jsonb_build_object(
    'carried', cardinality(passed.moved), 'woken', to_jsonb(passed.woken), 'left', to_jsonb(remaining));
END
$$

-- name: carry
SELECT pgqueue.carry(%(source)s, %(token)s, %(term)s, %(offered)s::text::jsonb, %(done)s, %(wake)s)::text AS result

-- name: taken
-- Sent to the source after the carry is committed. Ids that are gone already do no harm.
DELETE FROM pgqueue.outbox o
WHERE (o.lane = 0 AND o.id = ANY (%(ids)s::bigint[])) OR (o.lane = 1 AND o.id = ANY (%(ids)s::bigint[]))

-- name: ledger
-- What an earlier carrier left: carried for certain, perhaps not deleted in the source yet.
SELECT c.id FROM pgqueue.carried c JOIN pgqueue.sources s ON s.number = c.source WHERE s.name = %(source)s ORDER BY c.id

-- name: still_offered
SELECT o.id FROM pgqueue.outbox o
WHERE (o.lane = 0 AND o.id = ANY (%(ids)s::bigint[])) OR (o.lane = 1 AND o.id = ANY (%(ids)s::bigint[]))

-- name: outbox_left
-- Sent to the source: for whoever waits until everything is done, and is not the one that carries.
SELECT EXISTS (SELECT FROM pgqueue.outbox o WHERE o.lane IN (0, 1)) AS left

-- function: add_source
-- A database whose outbox is carried here: its number is its range of job ids (number * 2^44 and up).
CREATE OR REPLACE FUNCTION pgqueue.add_source(source text)
RETURNS smallint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  given smallint;
BEGIN
  INSERT INTO pgqueue.sources (name) VALUES (source) ON CONFLICT (name) DO NOTHING;
  SELECT s.number INTO given FROM pgqueue.sources s WHERE s.name = add_source.source FOR UPDATE;
  INSERT INTO pgqueue.turns (name) VALUES ('carry_' || given) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    EXECUTE format('CREATE SEQUENCE pgqueue.%I MINVALUE 0 START 0', 'turn_carry_' || given);
  END IF;
  RETURN given;
END
$$

-- name: add_source
-- Whether it is new is read from the snapshot, which does not show what the function does.
WITH given AS MATERIALIZED (
  SELECT pgqueue.add_source(%(source)s) AS number, EXISTS (SELECT FROM pgqueue.sources s WHERE s.name = %(source)s) AS known
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), 'add', 'source ' || %(source)s::text, jsonb_build_object('number', g.number), 1
  FROM given g WHERE NOT g.known
)
SELECT g.number FROM given g

-- function: become_source
-- Sent to the source: from now on its job ids are of its range, and its outbox belongs to the carrier.
CREATE OR REPLACE FUNCTION pgqueue.become_source(source text, number smallint)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $$
BEGIN
  LOCK TABLE pgqueue.outbox IN SHARE ROW EXCLUSIVE MODE;  -- nobody takes an id in the meantime
  IF EXISTS (SELECT FROM pgqueue.stamp s WHERE s.carried_as IS NOT NULL AND s.carried_as <> source) THEN
    RAISE EXCEPTION 'this database is a source already, as "%"', (SELECT s.carried_as FROM pgqueue.stamp s);
  ELSIF EXISTS (SELECT FROM pgqueue.outbox o WHERE o.id >> 44 <> number) OR EXISTS (SELECT FROM pgqueue.jobs) THEN
    RAISE EXCEPTION 'this database has jobs of its own' USING HINT = 'Drain them first: pgqueue work --until-empty';
  END IF;
  IF (SELECT s.last_value >> 44 FROM pgqueue.job_ids s) <> number THEN
    PERFORM setval('pgqueue.job_ids', number::bigint << 44);
  END IF;
  UPDATE pgqueue.stamp SET carried_as = source;
END
$$

-- name: become_source
SELECT pgqueue.become_source(%(source)s, %(number)s::smallint)

-- function: remove_source
-- Forgets a source. Whoever has its turn knows that nothing of the ledger stands in its outbox any more, and keeps every
-- carrier out. Its number is never given again. Returns NULL if the turn is somebody else's: then nothing was changed.
CREATE OR REPLACE FUNCTION pgqueue.remove_source(source text, token bigint)
RETURNS smallint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  gone constant smallint := (SELECT s.number FROM pgqueue.sources s WHERE s.name = remove_source.source);
  role constant text := 'carry_' || gone;
BEGIN
  IF gone IS NULL OR NOT pgqueue.hold_turn(role) THEN RETURN NULL; END IF;
  IF token IS DISTINCT FROM pg_sequence_last_value(format('pgqueue.%I', 'turn_' || role)::regclass) THEN RETURN NULL; END IF;
  DELETE FROM pgqueue.carried c WHERE c.source = gone;
  DELETE FROM pgqueue.sources s WHERE s.number = gone;
  DELETE FROM pgqueue.turns t WHERE t.name = role;
  EXECUTE format('DROP SEQUENCE pgqueue.%I', 'turn_' || role);
  RETURN gone;
END
$$

-- name: remove_source
WITH removed AS MATERIALIZED (
  SELECT pgqueue.remove_source(%(source)s, %(token)s) AS number
), noted AS (
  INSERT INTO pgqueue.actions (done_by, verb, target, filter, affected)
  SELECT left(%(by)s::text, 200), 'remove', 'source ' || %(source)s::text, jsonb_build_object('number', r.number), 1
  FROM removed r WHERE r.number IS NOT NULL
)
SELECT r.number FROM removed r

-- function: leave_source
-- Sent to the source: its outbox is its own again. Returns how many jobs stand in it, which only `anyway` allows.
CREATE OR REPLACE FUNCTION pgqueue.leave_source(source text, anyway boolean)
RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $$
DECLARE
  waiting bigint;
BEGIN
  LOCK TABLE pgqueue.outbox IN SHARE ROW EXCLUSIVE MODE;  -- nobody enqueues in the meantime
  IF EXISTS (SELECT FROM pgqueue.stamp s WHERE s.carried_as <> source) THEN
    RAISE EXCEPTION 'this database is another source, "%"', (SELECT s.carried_as FROM pgqueue.stamp s);
  END IF;
  waiting := (SELECT count(*) FROM pgqueue.outbox o WHERE o.lane IN (0, 1));
  IF waiting > 0 AND NOT anyway THEN
    RAISE EXCEPTION '% jobs wait in its outbox', waiting
      USING HINT = 'Let workers carry them first, or leave them to workers of its own: --force';
  END IF;
  UPDATE pgqueue.stamp SET carried_as = NULL;
  RETURN waiting;
END
$$

-- name: leave_source
SELECT pgqueue.leave_source(%(source)s, %(anyway)s)

-- name: source_list
SELECT s.name, s.number, s.added_at, (SELECT count(*) FROM (SELECT FROM pgqueue.carried c WHERE c.source = s.number LIMIT 10000) c)
FROM pgqueue.sources s ORDER BY s.name
