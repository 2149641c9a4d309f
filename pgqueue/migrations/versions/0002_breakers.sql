-- Circuit breakers: one row for each dependency and host that ever failed. A call that succeeds writes nothing here.
CREATE TABLE pgqueue.breakers (
  dependency text COLLATE "C" NOT NULL CONSTRAINT breakers_dependency_length CHECK (length(dependency) BETWEEN 1 AND 200),
  host text COLLATE "C" NOT NULL DEFAULT '' CONSTRAINT breakers_host_length CHECK (length(host) <= 300),
  state text NOT NULL DEFAULT 'closed' CONSTRAINT breakers_state_known CHECK (state IN ('closed', 'open', 'half_open')),
  failures integer NOT NULL DEFAULT 0 CONSTRAINT breakers_failures_counted CHECK (failures >= 0),
  -- Since when no call gets through, over all probes that failed; open_until NULL while open: until somebody closes it.
  opened_at timestamptz,
  open_until timestamptz,
  -- The call that may probe, and until when it is believed to be alive.
  probe uuid,
  probe_until timestamptz,
  last_error text,
  changed_at timestamptz NOT NULL DEFAULT pgqueue.clock(),
  changed_by text NOT NULL DEFAULT '',
  PRIMARY KEY (dependency, host),
  CONSTRAINT breakers_open_since CHECK ((state = 'closed') = (opened_at IS NULL)),
  CONSTRAINT breakers_half_open_is_probed CHECK ((state = 'half_open') = (probe IS NOT NULL AND probe_until IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX breakers_unwell ON pgqueue.breakers (dependency, host) WHERE state <> 'closed' OR failures > 0;
