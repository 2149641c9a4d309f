-- Revision domain_0002: the rest of the model. Frozen: a later change is a later revision.
-- organization_id stands in every key that joins two rows of a tenant, so that a row can never belong to two.
-- Takes ACCESS EXCLUSIVE on the tables of domain_0001; posts are rewritten (the hash of every text is computed).

-- Vectors. The extension stays when this revision goes: others may use it by then.
CREATE EXTENSION IF NOT EXISTS vector;

-- The tables that exist

ALTER TABLE smm.organizations
  ADD COLUMN timezone TEXT DEFAULT 'UTC' NOT NULL,
  ADD COLUMN locale TEXT DEFAULT 'pt-BR' NOT NULL,
  ADD COLUMN plan TEXT DEFAULT 'free' NOT NULL,
  ADD COLUMN suspension_id UUID,
  ADD COLUMN suspended_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN suspension_reason TEXT,
  ADD COLUMN deletion_due_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN stripe_customer_id TEXT,
  ADD COLUMN retry_after_reconnect BOOLEAN DEFAULT false NOT NULL;
UPDATE smm.organizations SET suspension_id = gen_random_uuid(), suspended_at = updated_at WHERE status = 'suspended';
UPDATE smm.organizations SET deletion_due_at = now() + interval '30 days' WHERE status = 'pending_deletion';
ALTER TABLE smm.organizations
  ADD CONSTRAINT organizations_plan_known CHECK (plan IN ('free', 'pro', 'business')),
  ADD CONSTRAINT organizations_suspended_is_complete CHECK (status <> 'suspended' OR (suspended_at IS NOT NULL AND suspension_id IS NOT NULL)),
  ADD CONSTRAINT organizations_pending_deletion_is_complete CHECK (status <> 'pending_deletion' OR (deletion_due_at IS NOT NULL)),
  ADD CONSTRAINT organizations_stripe_customer_id_key UNIQUE (stripe_customer_id);
CREATE INDEX organizations_deletion_due ON smm.organizations (deletion_due_at) WHERE status = 'pending_deletion';
CREATE INDEX organizations_suspended ON smm.organizations (suspended_at) WHERE status = 'suspended';

ALTER TABLE smm.users
  ADD COLUMN pending_email TEXT,
  ADD COLUMN email_verified_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN password_hash TEXT,
  ADD COLUMN is_operator BOOLEAN DEFAULT false NOT NULL,
  ADD COLUMN session_epoch INTEGER DEFAULT '0' NOT NULL,
  ADD COLUMN security_stamp UUID DEFAULT gen_random_uuid() NOT NULL,
  ADD COLUMN banned_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN ban_reason TEXT,
  ADD COLUMN deletion_requested_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN deletion_due_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN anonymized_at TIMESTAMP WITH TIME ZONE;
UPDATE smm.users SET banned_at = updated_at WHERE status = 'banned';
UPDATE smm.users SET anonymized_at = updated_at WHERE status = 'anonymized';
UPDATE smm.users SET deletion_requested_at = updated_at, deletion_due_at = now() + interval '30 days'
  WHERE status = 'pending_deletion';
ALTER TABLE smm.users
  ADD CONSTRAINT users_pending_deletion_is_complete CHECK (status <> 'pending_deletion' OR (deletion_due_at IS NOT NULL)),
  ADD CONSTRAINT users_banned_is_complete CHECK (status <> 'banned' OR (banned_at IS NOT NULL)),
  ADD CONSTRAINT users_anonymized_is_complete CHECK (status <> 'anonymized' OR (anonymized_at IS NOT NULL));
CREATE INDEX users_deletion_due ON smm.users (deletion_due_at) WHERE status = 'pending_deletion';

ALTER TABLE smm.social_accounts
  ADD COLUMN display_name TEXT DEFAULT '' NOT NULL,
  ADD COLUMN avatar_url TEXT,
  ADD COLUMN token_version INTEGER DEFAULT '1' NOT NULL,
  ADD COLUMN access_expires_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN refresh_expires_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN refresh_failures INTEGER DEFAULT '0' NOT NULL,
  ADD COLUMN last_refreshed_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN scopes TEXT[] DEFAULT '{}'::text[] NOT NULL,
  ADD COLUMN limits JSONB DEFAULT '{}'::jsonb NOT NULL,
  ADD COLUMN last_metrics_at TIMESTAMP WITH TIME ZONE,
  DROP CONSTRAINT social_accounts_provider_known,
  ADD CONSTRAINT social_accounts_provider_known CHECK (provider IN ('mastodon', 'bluesky', 'instagram', 'linkedin')),
  ADD CONSTRAINT social_accounts_credentials_present CHECK (status = 'revoked' OR credentials <> '');
CREATE INDEX social_accounts_expiring ON smm.social_accounts (access_expires_at) WHERE status = 'active';

ALTER TABLE smm.posts
  ADD COLUMN overrides JSONB DEFAULT '{}'::jsonb NOT NULL,
  ADD COLUMN content_hash BYTEA GENERATED ALWAYS AS (sha256(decode(replace(body, '\'::text, '\\'::text), 'escape'::text))) STORED NOT NULL,
  ADD COLUMN deleted_at TIMESTAMP WITH TIME ZONE;

ALTER TABLE smm.scheduled_posts
  ADD COLUMN wall_time TIMESTAMP WITHOUT TIME ZONE,
  ADD COLUMN wall_zone TEXT,
  ADD COLUMN retry_no INTEGER DEFAULT '0' NOT NULL,
  ADD COLUMN remote_plan JSONB DEFAULT '{}'::jsonb NOT NULL,
  ADD COLUMN next_metrics_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN metrics_stopped TEXT,
  ADD COLUMN next_comments_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN comments_cursor TEXT,
  ADD CONSTRAINT scheduled_posts_wall_time_has_a_zone CHECK ((wall_time IS NULL) = (wall_zone IS NULL)),
  ADD CONSTRAINT scheduled_posts_metrics_stopped_known CHECK (metrics_stopped IN ('removed', 'scope', 'age'));
CREATE INDEX scheduled_posts_account ON smm.scheduled_posts (social_account_id, scheduled_at);
CREATE INDEX scheduled_posts_comments_due ON smm.scheduled_posts (next_comments_at) WHERE status = 'published' AND next_comments_at IS NOT NULL;
CREATE INDEX scheduled_posts_metrics_due ON smm.scheduled_posts (next_metrics_at) WHERE status = 'published' AND next_metrics_at IS NOT NULL;
CREATE INDEX scheduled_posts_paused ON smm.scheduled_posts (organization_id) WHERE status = 'paused';
CREATE INDEX scheduled_posts_post_id ON smm.scheduled_posts (post_id);

ALTER TABLE smm.publish_attempts
  DROP CONSTRAINT publish_attempts_phase_known,
  ADD CONSTRAINT publish_attempts_phase_known CHECK (phase IN ('upload', 'create', 'publish', 'reconcile')),
  DROP CONSTRAINT publish_attempts_outcome_known,
  ADD CONSTRAINT publish_attempts_outcome_known CHECK (outcome IN ('ok', 'duplicate', 'rate_limited', 'auth', 'rejected', 'transient', 'unknown')),
  DROP CONSTRAINT publish_attempts_scheduled_post_id_attempt_key,
  ADD CONSTRAINT publish_attempts_scheduled_post_id_attempt_phase_key UNIQUE (scheduled_post_id, attempt, phase);
CREATE INDEX publish_attempts_started_at ON smm.publish_attempts (started_at);

ALTER TABLE smm.notifications
  ADD COLUMN data JSONB DEFAULT '{}'::jsonb NOT NULL;
CREATE INDEX notifications_created_at ON smm.notifications (created_at);

ALTER TABLE smm.email_messages
  DROP CONSTRAINT email_messages_organization_id_fkey,
  DROP CONSTRAINT email_messages_status_known,
  ADD CONSTRAINT email_messages_status_known CHECK (status IN ('pending', 'sending', 'sent', 'bounced', 'suppressed'));
CREATE INDEX email_messages_created_at ON smm.email_messages (created_at);
CREATE INDEX email_messages_of_recipient ON smm.email_messages (recipient_fingerprint, created_at DESC);
CREATE INDEX email_messages_user_id ON smm.email_messages (user_id);

-- Identity

CREATE TABLE smm.account_deletions (
  id UUID NOT NULL,
  user_id UUID NOT NULL,
  requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  due_at TIMESTAMP WITH TIME ZONE NOT NULL,
  status TEXT DEFAULT 'pending' NOT NULL,
  steps_done TEXT[] DEFAULT '{}'::text[] NOT NULL,
  canceled_at TIMESTAMP WITH TIME ZONE,
  finished_at TIMESTAMP WITH TIME ZONE,
  evidence JSONB,
  CONSTRAINT account_deletions_pkey PRIMARY KEY (id),
  CONSTRAINT account_deletions_status_known CHECK (status IN ('pending', 'canceled', 'running', 'done')),
  CONSTRAINT account_deletions_canceled_is_complete CHECK (status <> 'canceled' OR (canceled_at IS NOT NULL)),
  CONSTRAINT account_deletions_done_is_complete CHECK (status <> 'done' OR (finished_at IS NOT NULL AND evidence IS NOT NULL)),
  CONSTRAINT account_deletions_due_after_the_request CHECK (due_at >= requested_at),
  CONSTRAINT account_deletions_user_id_fkey FOREIGN KEY(user_id) REFERENCES smm.users (id)
);
CREATE INDEX account_deletions_due ON smm.account_deletions (due_at) WHERE status IN ('pending', 'running');
CREATE UNIQUE INDEX account_deletions_open ON smm.account_deletions (user_id) WHERE status IN ('pending', 'running');

CREATE TABLE smm.sessions (
  id UUID NOT NULL,
  user_id UUID NOT NULL,
  token_hash BYTEA NOT NULL,
  epoch INTEGER NOT NULL,
  ip INET,
  user_agent TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  last_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  revoked_at TIMESTAMP WITH TIME ZONE,
  revoke_reason TEXT,
  CONSTRAINT sessions_pkey PRIMARY KEY (id),
  CONSTRAINT sessions_user_id_fkey FOREIGN KEY(user_id) REFERENCES smm.users (id) ON DELETE CASCADE,
  CONSTRAINT sessions_token_hash_key UNIQUE (token_hash)
);
CREATE INDEX sessions_expires_at ON smm.sessions (expires_at);
CREATE INDEX sessions_live ON smm.sessions (user_id) WHERE revoked_at IS NULL;

CREATE TABLE smm.user_tokens (
  id UUID NOT NULL,
  user_id UUID,
  purpose TEXT NOT NULL,
  email_fingerprint BYTEA NOT NULL,
  requested_ip INET,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  used_at TIMESTAMP WITH TIME ZONE,
  revoked_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT user_tokens_pkey PRIMARY KEY (id),
  CONSTRAINT user_tokens_purpose_known CHECK (purpose IN ('verify_email', 'reset_password')),
  CONSTRAINT user_tokens_user_id_fkey FOREIGN KEY(user_id) REFERENCES smm.users (id) ON DELETE CASCADE
);
CREATE INDEX user_tokens_expires_at ON smm.user_tokens (expires_at);
CREATE INDEX user_tokens_of_address ON smm.user_tokens (email_fingerprint, purpose, created_at DESC);
CREATE INDEX user_tokens_of_ip ON smm.user_tokens (requested_ip, created_at DESC);
CREATE INDEX user_tokens_user_id ON smm.user_tokens (user_id);

-- Accounts

CREATE TABLE smm.provider_apps (
  provider TEXT NOT NULL,
  base_url TEXT NOT NULL,
  client_id TEXT NOT NULL,
  client_secret TEXT NOT NULL,
  client_secret_kid TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT provider_apps_pkey PRIMARY KEY (provider, base_url),
  CONSTRAINT provider_apps_provider_known CHECK (provider IN ('mastodon', 'bluesky', 'instagram', 'linkedin'))
);

CREATE TABLE smm.provider_throttles (
  scope TEXT NOT NULL,
  blocked_until TIMESTAMP WITH TIME ZONE,
  remaining INTEGER,
  window_resets_at TIMESTAMP WITH TIME ZONE,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT provider_throttles_pkey PRIMARY KEY (scope)
);

CREATE TABLE smm.account_connections (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  user_id UUID NOT NULL,
  provider TEXT NOT NULL,
  base_url TEXT NOT NULL,
  state_hash BYTEA NOT NULL,
  verifier TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  used_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT account_connections_pkey PRIMARY KEY (id),
  CONSTRAINT account_connections_provider_known CHECK (provider IN ('mastodon', 'bluesky', 'instagram', 'linkedin')),
  CONSTRAINT account_connections_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id) ON DELETE CASCADE,
  CONSTRAINT account_connections_user_id_fkey FOREIGN KEY(user_id) REFERENCES smm.users (id) ON DELETE CASCADE,
  CONSTRAINT account_connections_state_hash_key UNIQUE (state_hash)
);
CREATE INDEX account_connections_expires_at ON smm.account_connections (expires_at);

-- Content

CREATE TABLE smm.object_tombstones (
  storage_key TEXT NOT NULL,
  organization_id UUID NOT NULL,
  reason TEXT NOT NULL,
  attempts INTEGER DEFAULT '0' NOT NULL,
  last_error TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT object_tombstones_pkey PRIMARY KEY (storage_key)
);
CREATE INDEX object_tombstones_created_at ON smm.object_tombstones (created_at);

CREATE TABLE smm.media (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  uploaded_by UUID NOT NULL,
  storage_key TEXT NOT NULL,
  filename TEXT NOT NULL,
  declared_type TEXT NOT NULL,
  detected_type TEXT,
  byte_size BIGINT NOT NULL,
  sha256 BYTEA,
  width INTEGER,
  height INTEGER,
  duration_ms INTEGER,
  scan_status TEXT DEFAULT 'pending' NOT NULL,
  scan_detail TEXT,
  scan_engine TEXT,
  scanned_at TIMESTAMP WITH TIME ZONE,
  thumbnail_status TEXT DEFAULT 'none' NOT NULL,
  thumbnail_key TEXT,
  thumbnail_width INTEGER,
  thumbnail_height INTEGER,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  deleted_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT media_pkey PRIMARY KEY (id),
  CONSTRAINT media_scan_status_known CHECK (scan_status IN ('pending', 'clean', 'infected', 'rejected')),
  CONSTRAINT media_thumbnail_status_known CHECK (thumbnail_status IN ('none', 'ready', 'unsupported', 'failed')),
  CONSTRAINT media_clean_is_complete CHECK (scan_status <> 'clean' OR (detected_type IS NOT NULL AND sha256 IS NOT NULL AND scanned_at IS NOT NULL)),
  CONSTRAINT media_ready_is_complete CHECK (thumbnail_status <> 'ready' OR (thumbnail_key IS NOT NULL)),
  CONSTRAINT media_byte_size_not_negative CHECK (byte_size >= 0),
  CONSTRAINT media_sha256_whole CHECK (octet_length(sha256) = 32),
  CONSTRAINT media_organization_id_id_key UNIQUE (organization_id, id),
  CONSTRAINT media_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id),
  CONSTRAINT media_uploaded_by_fkey FOREIGN KEY(uploaded_by) REFERENCES smm.users (id),
  CONSTRAINT media_storage_key_key UNIQUE (storage_key)
);
CREATE INDEX media_created_at ON smm.media (created_at);
CREATE INDEX media_quarantined ON smm.media (scanned_at) WHERE scan_status IN ('infected', 'rejected');
CREATE INDEX media_unscanned ON smm.media (created_at) WHERE scan_status = 'pending';
CREATE INDEX media_verdict ON smm.media (organization_id, sha256);

CREATE TABLE smm.post_media (
  organization_id UUID NOT NULL,
  post_id UUID NOT NULL,
  position INTEGER NOT NULL,
  media_id UUID NOT NULL,
  alt_text TEXT DEFAULT '' NOT NULL,
  CONSTRAINT post_media_pkey PRIMARY KEY (post_id, position),
  CONSTRAINT post_media_organization_id_post_id_fkey FOREIGN KEY(organization_id, post_id) REFERENCES smm.posts (organization_id, id) ON DELETE CASCADE,
  CONSTRAINT post_media_organization_id_media_id_fkey FOREIGN KEY(organization_id, media_id) REFERENCES smm.media (organization_id, id),
  CONSTRAINT post_media_post_id_media_id_key UNIQUE (post_id, media_id),
  CONSTRAINT post_media_position_not_negative CHECK ("position" >= 0)
);
CREATE INDEX post_media_media_id ON smm.post_media (media_id);

-- Publishing

CREATE TABLE smm.remote_media (
  organization_id UUID NOT NULL,
  scheduled_post_id UUID NOT NULL,
  media_id UUID NOT NULL,
  remote_ref JSONB DEFAULT '{}'::jsonb NOT NULL,
  status TEXT DEFAULT 'uploaded' NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT remote_media_pkey PRIMARY KEY (scheduled_post_id, media_id),
  CONSTRAINT remote_media_status_known CHECK (status IN ('uploaded', 'processing', 'ready', 'expired')),
  CONSTRAINT remote_media_organization_id_scheduled_post_id_fkey FOREIGN KEY(organization_id, scheduled_post_id) REFERENCES smm.scheduled_posts (organization_id, id) ON DELETE CASCADE,
  CONSTRAINT remote_media_organization_id_media_id_fkey FOREIGN KEY(organization_id, media_id) REFERENCES smm.media (organization_id, id)
);
CREATE INDEX remote_media_media_id ON smm.remote_media (media_id);

-- Analytics

CREATE TABLE smm.account_metrics (
  social_account_id UUID NOT NULL,
  day DATE NOT NULL,
  organization_id UUID NOT NULL,
  captured_at TIMESTAMP WITH TIME ZONE NOT NULL,
  followers BIGINT,
  following BIGINT,
  posts BIGINT,
  raw JSONB DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT account_metrics_pkey PRIMARY KEY (social_account_id, day),
  CONSTRAINT account_metrics_organization_id_social_account_id_fkey FOREIGN KEY(organization_id, social_account_id) REFERENCES smm.social_accounts (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX account_metrics_captured_at ON smm.account_metrics (captured_at);
CREATE INDEX account_metrics_of_organization ON smm.account_metrics (organization_id, day);

CREATE TABLE smm.comments (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  scheduled_post_id UUID NOT NULL,
  external_id TEXT NOT NULL,
  parent_external_id TEXT,
  author_external_id TEXT NOT NULL,
  author_handle TEXT NOT NULL,
  body_text TEXT NOT NULL,
  content_hash BYTEA GENERATED ALWAYS AS (sha256(decode(replace(body_text, '\'::text, '\\'::text), 'escape'::text))) STORED NOT NULL,
  permalink TEXT,
  posted_at TIMESTAMP WITH TIME ZONE NOT NULL,
  edited_at TIMESTAMP WITH TIME ZONE,
  is_own BOOLEAN DEFAULT false NOT NULL,
  first_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  removed_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT comments_pkey PRIMARY KEY (id),
  CONSTRAINT comments_organization_id_id_key UNIQUE (organization_id, id),
  CONSTRAINT comments_scheduled_post_id_external_id_key UNIQUE (scheduled_post_id, external_id),
  CONSTRAINT comments_organization_id_scheduled_post_id_fkey FOREIGN KEY(organization_id, scheduled_post_id) REFERENCES smm.scheduled_posts (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX comments_inbox ON smm.comments (organization_id, posted_at DESC) WHERE removed_at IS NULL;

CREATE TABLE smm.post_metrics (
  scheduled_post_id UUID NOT NULL,
  bucket TIMESTAMP WITH TIME ZONE NOT NULL,
  organization_id UUID NOT NULL,
  captured_at TIMESTAMP WITH TIME ZONE NOT NULL,
  impressions BIGINT,
  likes BIGINT,
  reposts BIGINT,
  replies BIGINT,
  raw JSONB DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT post_metrics_pkey PRIMARY KEY (scheduled_post_id, bucket),
  CONSTRAINT post_metrics_organization_id_scheduled_post_id_fkey FOREIGN KEY(organization_id, scheduled_post_id) REFERENCES smm.scheduled_posts (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX post_metrics_captured_at ON smm.post_metrics (captured_at);
CREATE INDEX post_metrics_of_organization ON smm.post_metrics (organization_id, bucket);

CREATE TABLE smm.embeddings (
  subject_type TEXT NOT NULL,
  subject_id UUID NOT NULL,
  model TEXT NOT NULL,
  organization_id UUID NOT NULL,
  content_hash BYTEA NOT NULL,
  embedding VECTOR(384) NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  post_id UUID GENERATED ALWAYS AS (CASE WHEN (subject_type = 'post'::text) THEN subject_id ELSE NULL::uuid END) STORED,
  comment_id UUID GENERATED ALWAYS AS (CASE WHEN (subject_type = 'comment'::text) THEN subject_id ELSE NULL::uuid END) STORED,
  CONSTRAINT embeddings_pkey PRIMARY KEY (subject_type, subject_id, model),
  CONSTRAINT embeddings_subject_type_known CHECK (subject_type IN ('post', 'comment')),
  CONSTRAINT embeddings_organization_id_post_id_fkey FOREIGN KEY(organization_id, post_id) REFERENCES smm.posts (organization_id, id) ON DELETE CASCADE,
  CONSTRAINT embeddings_organization_id_comment_id_fkey FOREIGN KEY(organization_id, comment_id) REFERENCES smm.comments (organization_id, id) ON DELETE CASCADE,
  CONSTRAINT embeddings_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id)
);
CREATE INDEX embeddings_comment_id ON smm.embeddings (comment_id);
CREATE INDEX embeddings_nearest ON smm.embeddings USING hnsw (embedding vector_cosine_ops);
CREATE INDEX embeddings_of_organization ON smm.embeddings (organization_id, model);
CREATE INDEX embeddings_post_id ON smm.embeddings (post_id);

-- Billing

CREATE TABLE smm.stripe_events (
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  api_version TEXT,
  livemode BOOLEAN NOT NULL,
  created TIMESTAMP WITH TIME ZONE NOT NULL,
  customer_id TEXT,
  organization_id UUID,
  payload JSONB,
  received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  status TEXT DEFAULT 'received' NOT NULL,
  processed_at TIMESTAMP WITH TIME ZONE,
  error TEXT,
  CONSTRAINT stripe_events_pkey PRIMARY KEY (id),
  CONSTRAINT stripe_events_status_known CHECK (status IN ('received', 'processed', 'ignored', 'failed')),
  CONSTRAINT stripe_events_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id)
);
CREATE INDEX stripe_events_organization_id ON smm.stripe_events (organization_id);
CREATE INDEX stripe_events_pending ON smm.stripe_events (received_at) WHERE status = 'received';
CREATE INDEX stripe_events_received_at ON smm.stripe_events (received_at);

CREATE TABLE smm.subscriptions (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  stripe_subscription_id TEXT NOT NULL,
  stripe_customer_id TEXT NOT NULL,
  status TEXT NOT NULL,
  plan TEXT NOT NULL,
  current_period_start TIMESTAMP WITH TIME ZONE,
  current_period_end TIMESTAMP WITH TIME ZONE,
  past_due_since TIMESTAMP WITH TIME ZONE,
  grace_until TIMESTAMP WITH TIME ZONE,
  cancel_at TIMESTAMP WITH TIME ZONE,
  ended_at TIMESTAMP WITH TIME ZONE,
  synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
  last_event_created TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT subscriptions_pkey PRIMARY KEY (id),
  CONSTRAINT subscriptions_status_known CHECK (status IN ('incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'canceled')),
  CONSTRAINT subscriptions_plan_known CHECK (plan IN ('free', 'pro', 'business')),
  CONSTRAINT subscriptions_past_due_is_complete CHECK (status <> 'past_due' OR (past_due_since IS NOT NULL AND grace_until IS NOT NULL)),
  CONSTRAINT subscriptions_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id),
  CONSTRAINT subscriptions_stripe_subscription_id_key UNIQUE (stripe_subscription_id)
);
CREATE INDEX subscriptions_grace ON smm.subscriptions (grace_until) WHERE status IN ('past_due', 'unpaid');
CREATE UNIQUE INDEX subscriptions_living ON smm.subscriptions (organization_id) WHERE status NOT IN ('canceled', 'incomplete_expired');
CREATE INDEX subscriptions_organization_id ON smm.subscriptions (organization_id);
CREATE INDEX subscriptions_stripe_customer_id ON smm.subscriptions (stripe_customer_id);

CREATE TABLE smm.usage_events (
  metric TEXT NOT NULL,
  source_type TEXT NOT NULL,
  source_id UUID NOT NULL,
  organization_id UUID NOT NULL,
  quantity BIGINT NOT NULL,
  occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT usage_events_pkey PRIMARY KEY (metric, source_type, source_id),
  CONSTRAINT usage_events_quantity_positive CHECK (quantity > 0),
  CONSTRAINT usage_events_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id)
);
CREATE INDEX usage_events_occurred_at ON smm.usage_events (occurred_at);
CREATE INDEX usage_events_period ON smm.usage_events (organization_id, metric, occurred_at);

CREATE TABLE smm.usage_records (
  organization_id UUID NOT NULL,
  metric TEXT NOT NULL,
  period_start DATE NOT NULL,
  period_end DATE NOT NULL,
  quantity BIGINT NOT NULL,
  closed_at TIMESTAMP WITH TIME ZONE,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT usage_records_pkey PRIMARY KEY (organization_id, metric, period_start),
  CONSTRAINT usage_records_period_has_a_length CHECK (period_end > period_start),
  CONSTRAINT usage_records_quantity_not_negative CHECK (quantity >= 0),
  CONSTRAINT usage_records_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id)
);

CREATE TABLE smm.usage_reports (
  organization_id UUID NOT NULL,
  metric TEXT NOT NULL,
  period_start DATE NOT NULL,
  seq INTEGER NOT NULL,
  identifier TEXT NOT NULL,
  total BIGINT NOT NULL,
  event_time TIMESTAMP WITH TIME ZONE NOT NULL,
  status TEXT DEFAULT 'pending' NOT NULL,
  sent_at TIMESTAMP WITH TIME ZONE,
  error TEXT,
  CONSTRAINT usage_reports_pkey PRIMARY KEY (organization_id, metric, period_start, seq),
  CONSTRAINT usage_reports_status_known CHECK (status IN ('pending', 'sent', 'rejected')),
  CONSTRAINT usage_reports_sent_is_complete CHECK (status <> 'sent' OR (sent_at IS NOT NULL)),
  CONSTRAINT usage_reports_organization_id_metric_period_start_fkey FOREIGN KEY(organization_id, metric, period_start) REFERENCES smm.usage_records (organization_id, metric, period_start),
  CONSTRAINT usage_reports_identifier_key UNIQUE (identifier)
);
CREATE INDEX usage_reports_pending ON smm.usage_reports (event_time) WHERE status = 'pending';

-- Integration

CREATE TABLE smm.reports (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  requested_by UUID NOT NULL,
  kind TEXT NOT NULL,
  format TEXT NOT NULL,
  period_start DATE NOT NULL,
  period_end DATE NOT NULL,
  params JSONB DEFAULT '{}'::jsonb NOT NULL,
  as_of TIMESTAMP WITH TIME ZONE NOT NULL,
  status TEXT DEFAULT 'requested' NOT NULL,
  storage_key TEXT,
  byte_size BIGINT,
  sha256 BYTEA,
  row_count INTEGER,
  error TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  finished_at TIMESTAMP WITH TIME ZONE,
  expires_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT reports_pkey PRIMARY KEY (id),
  CONSTRAINT reports_format_known CHECK (format IN ('pdf', 'csv')),
  CONSTRAINT reports_status_known CHECK (status IN ('requested', 'ready', 'failed', 'expired')),
  CONSTRAINT reports_ready_is_complete CHECK (status <> 'ready' OR (storage_key IS NOT NULL AND byte_size IS NOT NULL AND sha256 IS NOT NULL AND finished_at IS NOT NULL AND expires_at IS NOT NULL)),
  CONSTRAINT reports_period_has_a_length CHECK (period_end >= period_start),
  CONSTRAINT reports_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id),
  CONSTRAINT reports_requested_by_fkey FOREIGN KEY(requested_by) REFERENCES smm.users (id),
  CONSTRAINT reports_storage_key_key UNIQUE (storage_key)
);
CREATE INDEX reports_expires_at ON smm.reports (expires_at);
CREATE INDEX reports_of_organization ON smm.reports (organization_id, created_at DESC);
CREATE UNIQUE INDEX reports_requested ON smm.reports (organization_id, kind) WHERE status = 'requested';

CREATE TABLE smm.webhook_endpoints (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  url TEXT NOT NULL,
  event_types TEXT[] DEFAULT '{}'::text[] NOT NULL,
  secret TEXT NOT NULL,
  secret_kid TEXT NOT NULL,
  previous_secret TEXT,
  previous_secret_until TIMESTAMP WITH TIME ZONE,
  retry_schedule TEXT DEFAULT 'short' NOT NULL,
  status TEXT DEFAULT 'active' NOT NULL,
  failing_since TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_endpoints_status_known CHECK (status IN ('active', 'disabled_by_user', 'disabled_failing', 'disabled_gone', 'disabled_blocked', 'disabled_plan')),
  CONSTRAINT webhook_endpoints_retry_schedule_known CHECK (retry_schedule IN ('short', 'days')),
  CONSTRAINT webhook_endpoints_previous_secret_has_an_end CHECK ((previous_secret IS NULL) = (previous_secret_until IS NULL)),
  CONSTRAINT webhook_endpoints_organization_id_id_key UNIQUE (organization_id, id),
  CONSTRAINT webhook_endpoints_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id)
);
CREATE INDEX webhook_endpoints_failing ON smm.webhook_endpoints (failing_since) WHERE status = 'active';
CREATE INDEX webhook_endpoints_secret_kid ON smm.webhook_endpoints (secret_kid);

CREATE TABLE smm.webhook_events (
  id TEXT NOT NULL,
  organization_id UUID NOT NULL,
  type TEXT NOT NULL,
  body TEXT,
  occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT webhook_events_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_events_id_can_be_signed CHECK (starts_with(id, 'msg_') AND strpos(id, '.') = 0),
  CONSTRAINT webhook_events_organization_id_id_key UNIQUE (organization_id, id),
  CONSTRAINT webhook_events_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id)
);
CREATE INDEX webhook_events_created_at ON smm.webhook_events (created_at);

CREATE TABLE smm.webhook_deliveries (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  event_id TEXT NOT NULL,
  endpoint_id UUID NOT NULL,
  status TEXT DEFAULT 'pending' NOT NULL,
  attempts INTEGER DEFAULT '0' NOT NULL,
  replay_no INTEGER DEFAULT '0' NOT NULL,
  last_http_status INTEGER,
  last_error TEXT,
  response_excerpt TEXT,
  duration_ms INTEGER,
  delivered_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_deliveries_status_known CHECK (status IN ('pending', 'delivered', 'failed', 'skipped')),
  CONSTRAINT webhook_deliveries_delivered_is_complete CHECK (status <> 'delivered' OR (delivered_at IS NOT NULL)),
  CONSTRAINT webhook_deliveries_event_id_endpoint_id_key UNIQUE (event_id, endpoint_id),
  CONSTRAINT webhook_deliveries_organization_id_event_id_fkey FOREIGN KEY(organization_id, event_id) REFERENCES smm.webhook_events (organization_id, id) ON DELETE CASCADE,
  CONSTRAINT webhook_deliveries_organization_id_endpoint_id_fkey FOREIGN KEY(organization_id, endpoint_id) REFERENCES smm.webhook_endpoints (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_created_at ON smm.webhook_deliveries (created_at);
CREATE INDEX webhook_deliveries_of_endpoint ON smm.webhook_deliveries (endpoint_id, created_at DESC);

-- Notifications

CREATE TABLE smm.notification_preferences (
  user_id UUID NOT NULL,
  kind TEXT NOT NULL,
  channel TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  CONSTRAINT notification_preferences_pkey PRIMARY KEY (user_id, kind, channel),
  CONSTRAINT notification_preferences_channel_known CHECK (channel IN ('in_app', 'email')),
  CONSTRAINT notification_preferences_user_id_fkey FOREIGN KEY(user_id) REFERENCES smm.users (id) ON DELETE CASCADE
);

-- Audit

CREATE TABLE smm.audit_log (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  organization_id UUID NOT NULL,
  actor_id UUID NOT NULL,
  actor_kind TEXT NOT NULL,
  action TEXT NOT NULL,
  subject_type TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  correlation_id UUID NOT NULL,
  trace_id UUID NOT NULL,
  detail JSONB DEFAULT '{}'::jsonb NOT NULL,
  at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
  CONSTRAINT audit_log_pkey PRIMARY KEY (id),
  CONSTRAINT audit_log_actor_kind_known CHECK (actor_kind IN ('user', 'system', 'job'))
);
CREATE INDEX audit_log_at ON smm.audit_log (at);
CREATE INDEX audit_log_of_organization ON smm.audit_log (organization_id, at DESC);
CREATE INDEX audit_log_of_subject ON smm.audit_log (subject_type, subject_id, at DESC);

CREATE TABLE smm.idempotency_keys (
  organization_id UUID NOT NULL,
  user_id UUID NOT NULL,
  key TEXT NOT NULL,
  operation TEXT NOT NULL,
  request_hash BYTEA NOT NULL,
  response_status INTEGER,
  response_headers JSONB DEFAULT '{}'::jsonb NOT NULL,
  response_body BYTEA,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  completed_at TIMESTAMP WITH TIME ZONE,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (organization_id, user_id, key),
  CONSTRAINT idempotency_keys_key_has_a_length CHECK (length(key) BETWEEN 1 AND 255),
  CONSTRAINT idempotency_keys_request_hash_whole CHECK (octet_length(request_hash) = 32),
  CONSTRAINT idempotency_keys_answered_or_not CHECK ((response_status IS NULL) = (completed_at IS NULL))
);
CREATE INDEX idempotency_keys_expires_at ON smm.idempotency_keys (expires_at);
