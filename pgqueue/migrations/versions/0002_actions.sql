-- What people did, and to what: written in the statement that does it, never changed.
CREATE TABLE pgqueue.actions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  done_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  affected bigint NOT NULL CONSTRAINT actions_affected_counted CHECK (affected >= 0),
  done_by text NOT NULL CONSTRAINT actions_done_by_length CHECK (length(done_by) <= 200),
  verb text COLLATE "C" NOT NULL CONSTRAINT actions_verb_plain CHECK (verb ~ '^[a-z][a-z_]{0,39}$'),
  target text NOT NULL CONSTRAINT actions_target_length CHECK (length(target) <= 600),
  reason text NOT NULL DEFAULT '',
  filter jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX actions_by_time ON pgqueue.actions (done_at);

CREATE FUNCTION pgqueue.actions_stay() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RAISE EXCEPTION 'actions are a record: they are only added to' USING ERRCODE = 'insufficient_privilege'; END $$;
CREATE TRIGGER actions_stay BEFORE UPDATE OR DELETE ON pgqueue.actions
  FOR EACH STATEMENT EXECUTE FUNCTION pgqueue.actions_stay();
