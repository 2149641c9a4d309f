-- The tables of revision domain_0001. Frozen: a later change is a later revision.
-- organization_id stands in every key that joins two rows of a tenant, so that a row can never belong to two.

CREATE SCHEMA smm;

CREATE TABLE smm.organizations (
  id UUID NOT NULL,
  name TEXT NOT NULL,
  slug TEXT NOT NULL,
  status TEXT DEFAULT 'active' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT organizations_pkey PRIMARY KEY (id),
  CONSTRAINT organizations_status_known CHECK (status IN ('active', 'suspended', 'pending_deletion', 'deleted')),
  CONSTRAINT organizations_slug_key UNIQUE (slug)
);

CREATE TABLE smm.users (
  id UUID NOT NULL,
  email TEXT NOT NULL,
  name TEXT DEFAULT '' NOT NULL,
  locale TEXT DEFAULT 'pt-BR' NOT NULL,
  status TEXT DEFAULT 'pending' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT users_pkey PRIMARY KEY (id),
  CONSTRAINT users_status_known CHECK (status IN ('pending', 'active', 'banned', 'pending_deletion', 'anonymized'))
);
CREATE UNIQUE INDEX users_email ON smm.users (lower(email));

CREATE TABLE smm.memberships (
  organization_id UUID NOT NULL,
  user_id UUID NOT NULL,
  role TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT memberships_pkey PRIMARY KEY (organization_id, user_id),
  CONSTRAINT memberships_role_known CHECK (role IN ('owner', 'admin', 'editor', 'viewer')),
  CONSTRAINT memberships_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id),
  CONSTRAINT memberships_user_id_fkey FOREIGN KEY(user_id) REFERENCES smm.users (id)
);
CREATE INDEX memberships_user_id ON smm.memberships (user_id);

CREATE TABLE smm.social_accounts (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  provider TEXT NOT NULL,
  base_url TEXT NOT NULL,
  external_id TEXT NOT NULL,
  handle TEXT NOT NULL,
  connected_by UUID NOT NULL,
  status TEXT DEFAULT 'active' NOT NULL,
  status_reason TEXT,
  credentials TEXT NOT NULL,
  credentials_kid TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT social_accounts_pkey PRIMARY KEY (id),
  CONSTRAINT social_accounts_provider_known CHECK (provider IN ('mastodon')),
  CONSTRAINT social_accounts_status_known CHECK (status IN ('active', 'needs_reauth', 'disabled', 'revoked')),
  CONSTRAINT social_accounts_organization_id_id_key UNIQUE (organization_id, id),
  CONSTRAINT social_accounts_identity UNIQUE (organization_id, provider, base_url, external_id),
  CONSTRAINT social_accounts_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id),
  CONSTRAINT social_accounts_connected_by_fkey FOREIGN KEY(connected_by) REFERENCES smm.users (id)
);
CREATE INDEX social_accounts_credentials_kid ON smm.social_accounts (credentials_kid);

CREATE TABLE smm.posts (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  author_id UUID NOT NULL,
  body TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT posts_pkey PRIMARY KEY (id),
  CONSTRAINT posts_organization_id_id_key UNIQUE (organization_id, id),
  CONSTRAINT posts_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id),
  CONSTRAINT posts_author_id_fkey FOREIGN KEY(author_id) REFERENCES smm.users (id)
);

CREATE TABLE smm.scheduled_posts (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  post_id UUID NOT NULL,
  social_account_id UUID NOT NULL,
  created_by UUID NOT NULL,
  status TEXT DEFAULT 'scheduled' NOT NULL,
  scheduled_at TIMESTAMP WITH TIME ZONE NOT NULL,
  schedule_version INTEGER DEFAULT '1' NOT NULL,
  dispatched_at TIMESTAMP WITH TIME ZONE,
  publish_key UUID NOT NULL,
  external_id TEXT,
  permalink TEXT,
  published_at TIMESTAMP WITH TIME ZONE,
  failure_code TEXT,
  failure_message TEXT,
  paused_from TEXT,
  paused_reason TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT scheduled_posts_pkey PRIMARY KEY (id),
  CONSTRAINT scheduled_posts_status_known CHECK (status IN ('scheduled', 'dispatched', 'publishing', 'processing', 'published', 'failed', 'unconfirmed', 'paused', 'missed', 'canceled')),
  CONSTRAINT scheduled_posts_published_has_an_address CHECK (status <> 'published' OR (external_id IS NOT NULL AND published_at IS NOT NULL)),
  CONSTRAINT scheduled_posts_paused_knows_its_past CHECK ((status = 'paused') = (paused_from IS NOT NULL)),
  CONSTRAINT scheduled_posts_organization_id_id_key UNIQUE (organization_id, id),
  CONSTRAINT scheduled_posts_organization_id_post_id_fkey FOREIGN KEY(organization_id, post_id) REFERENCES smm.posts (organization_id, id),
  CONSTRAINT scheduled_posts_organization_id_social_account_id_fkey FOREIGN KEY(organization_id, social_account_id) REFERENCES smm.social_accounts (organization_id, id),
  CONSTRAINT scheduled_posts_created_by_fkey FOREIGN KEY(created_by) REFERENCES smm.users (id)
);
CREATE INDEX scheduled_posts_calendar ON smm.scheduled_posts (organization_id, scheduled_at DESC);
CREATE INDEX scheduled_posts_due ON smm.scheduled_posts (scheduled_at) WHERE status = 'scheduled';
CREATE UNIQUE INDEX scheduled_posts_external ON smm.scheduled_posts (social_account_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX scheduled_posts_inflight ON smm.scheduled_posts (updated_at) WHERE status IN ('dispatched', 'publishing', 'processing', 'unconfirmed');

CREATE TABLE smm.publish_attempts (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  scheduled_post_id UUID NOT NULL,
  attempt INTEGER NOT NULL,
  phase TEXT NOT NULL,
  started_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
  finished_at TIMESTAMP WITH TIME ZONE,
  outcome TEXT,
  http_status INTEGER,
  error_code TEXT,
  excerpt TEXT,
  trace_id UUID NOT NULL,
  CONSTRAINT publish_attempts_pkey PRIMARY KEY (id),
  CONSTRAINT publish_attempts_phase_known CHECK (phase IN ('publish', 'reconcile')),
  CONSTRAINT publish_attempts_outcome_known CHECK (outcome IN ('ok', 'rate_limited', 'auth', 'rejected', 'transient', 'unknown')),
  CONSTRAINT publish_attempts_scheduled_post_id_attempt_key UNIQUE (scheduled_post_id, attempt),
  CONSTRAINT publish_attempts_organization_id_scheduled_post_id_fkey FOREIGN KEY(organization_id, scheduled_post_id) REFERENCES smm.scheduled_posts (organization_id, id) ON DELETE CASCADE
);

CREATE TABLE smm.notifications (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  user_id UUID NOT NULL,
  kind TEXT NOT NULL,
  dedupe_key TEXT NOT NULL,
  title TEXT NOT NULL,
  body TEXT DEFAULT '' NOT NULL,
  link TEXT,
  read_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT notifications_pkey PRIMARY KEY (id),
  CONSTRAINT notifications_user_id_dedupe_key_key UNIQUE (user_id, dedupe_key),
  CONSTRAINT notifications_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id),
  CONSTRAINT notifications_user_id_fkey FOREIGN KEY(user_id) REFERENCES smm.users (id) ON DELETE CASCADE
);
CREATE INDEX notifications_unread ON smm.notifications (user_id, created_at DESC) WHERE read_at IS NULL;

CREATE TABLE smm.email_messages (
  id UUID NOT NULL,
  organization_id UUID NOT NULL,
  user_id UUID,
  dedupe_key TEXT NOT NULL,
  template TEXT NOT NULL,
  recipient_fingerprint BYTEA NOT NULL,
  message_id TEXT NOT NULL,
  status TEXT DEFAULT 'pending' NOT NULL,
  smtp_code INTEGER,
  smtp_reply TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  sent_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT email_messages_pkey PRIMARY KEY (id),
  CONSTRAINT email_messages_status_known CHECK (status IN ('pending', 'sending', 'sent', 'bounced')),
  CONSTRAINT email_messages_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id),
  CONSTRAINT email_messages_user_id_fkey FOREIGN KEY(user_id) REFERENCES smm.users (id) ON DELETE SET NULL,
  CONSTRAINT email_messages_dedupe_key_key UNIQUE (dedupe_key)
);
