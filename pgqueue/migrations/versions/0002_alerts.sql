-- Alerts: how long each thing has been over or under its threshold, what has to be told, and how many attempts failed.
-- version: whoever judges a sample writes only if nobody judged since it looked.
CREATE TABLE pgqueue.alerts (
  rule text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  streak smallint NOT NULL CONSTRAINT alerts_streak_counted CHECK (streak >= 0),
  value double precision NOT NULL,
  raised_at timestamptz,
  told_at timestamptz,
  sampled_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  text text NOT NULL DEFAULT '',
  PRIMARY KEY (rule, subject)
);

-- One row for each message and channel. key is the same on every try: who gets a message twice can tell.
CREATE TABLE pgqueue.alert_messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  event text NOT NULL CONSTRAINT alert_messages_event_known CHECK (event IN ('raised', 'repeated', 'cleared')),
  rule text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  value double precision NOT NULL,
  text text NOT NULL,
  raised_at timestamptz NOT NULL,
  made_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  tries smallint NOT NULL DEFAULT 0,
  -- NULL: sent or given up. A try moves it ahead before it begins, so that a killed sender's message goes out later.
  next_try_at timestamptz DEFAULT pgqueue.clock(),
  sent_at timestamptz,
  error text,
  UNIQUE (key, channel)
);
CREATE INDEX alert_messages_to_send ON pgqueue.alert_messages (next_try_at) WHERE next_try_at IS NOT NULL;

-- Sampled by each process now and then, append-only; what failure rates are made of.
CREATE TABLE pgqueue.attempt_counts (
  sampled_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  kind text COLLATE "C" NOT NULL,
  succeeded integer NOT NULL,
  failed integer NOT NULL
);
CREATE INDEX attempt_counts_by_time ON pgqueue.attempt_counts (sampled_at);
