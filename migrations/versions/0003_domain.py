"""Invitations, accounts that are connected again after they were given up, and what purges find rows by.

Revision ID: domain_0003
Revises: domain_0002
"""

from __future__ import annotations

from alembic import op

revision = "domain_0003"
down_revision = "domain_0002"
branch_labels = None
depends_on = None

# Long enough for a busy table, short enough that nobody queues behind a migration that waits.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"

UP = (
    """CREATE TABLE smm.invitations (
      id UUID NOT NULL,
      organization_id UUID NOT NULL,
      email TEXT NOT NULL,
      role TEXT NOT NULL,
      invited_by UUID NOT NULL,
      created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
      expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
      CONSTRAINT invitations_pkey PRIMARY KEY (id),
      CONSTRAINT invitations_role_known CHECK (role IN ('owner', 'admin', 'editor', 'viewer')),
      CONSTRAINT invitations_email_in_lower_case CHECK (email = lower(email)),
      CONSTRAINT invitations_organization_id_email_key UNIQUE (organization_id, email),
      CONSTRAINT invitations_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id),
      CONSTRAINT invitations_invited_by_fkey FOREIGN KEY(invited_by) REFERENCES smm.users (id)
    )""",
    "CREATE INDEX invitations_of_address ON smm.invitations (email)",
    "CREATE INDEX invitations_expires_at ON smm.invitations (expires_at)",
    # what a purge takes first, without what stays
    "CREATE INDEX notifications_read_at ON smm.notifications (read_at) WHERE read_at IS NOT NULL",
    "DROP INDEX smm.user_tokens_expires_at",
    "CREATE INDEX user_tokens_over ON smm.user_tokens (LEAST(expires_at, used_at))",
    "CREATE INDEX webhook_events_with_body ON smm.webhook_events (created_at) WHERE body IS NOT NULL",
    """CREATE INDEX stripe_events_with_payload ON smm.stripe_events (received_at)
      WHERE payload IS NOT NULL AND status <> 'received'""",
    "CREATE INDEX post_metrics_with_raw ON smm.post_metrics (captured_at) WHERE raw <> '{}'",
    "CREATE INDEX account_metrics_with_raw ON smm.account_metrics (captured_at) WHERE raw <> '{}'",
    "DROP INDEX smm.publish_attempts_started_at",
    "CREATE INDEX publish_attempts_ended ON smm.publish_attempts (started_at) WHERE outcome IS NOT NULL",
    "DROP INDEX smm.media_quarantined",
    """CREATE INDEX media_quarantined ON smm.media (scanned_at)
      WHERE scan_status IN ('infected', 'rejected') AND deleted_at IS NULL""",
    "ALTER TABLE smm.media ADD COLUMN attached BOOLEAN DEFAULT false NOT NULL",
    """UPDATE smm.media SET attached = true
      WHERE EXISTS (SELECT FROM smm.post_media p WHERE p.media_id = media.id)""",
    "DROP INDEX smm.media_created_at",
    """CREATE INDEX media_unattached ON smm.media (created_at)
      WHERE NOT attached AND scan_status NOT IN ('infected', 'rejected')""",
    "ALTER TABLE smm.social_accounts DROP CONSTRAINT social_accounts_identity",
    # the table is as small as there are accounts: built at once, under its lock
    """CREATE UNIQUE INDEX social_accounts_identity
      ON smm.social_accounts (organization_id, provider, base_url, external_id) WHERE status <> 'revoked'""",
)

DOWN = (
    "DROP INDEX smm.media_unattached",
    "CREATE INDEX media_created_at ON smm.media (created_at)",
    "ALTER TABLE smm.media DROP COLUMN attached",
    "DROP INDEX smm.media_quarantined",
    "CREATE INDEX media_quarantined ON smm.media (scanned_at) WHERE scan_status IN ('infected', 'rejected')",
    "DROP INDEX smm.publish_attempts_ended",
    "CREATE INDEX publish_attempts_started_at ON smm.publish_attempts (started_at)",
    "DROP INDEX smm.account_metrics_with_raw",
    "DROP INDEX smm.post_metrics_with_raw",
    "DROP INDEX smm.stripe_events_with_payload",
    "DROP INDEX smm.webhook_events_with_body",
    "DROP INDEX smm.user_tokens_over",
    "CREATE INDEX user_tokens_expires_at ON smm.user_tokens (expires_at)",
    "DROP INDEX smm.notifications_read_at",
    "DROP INDEX smm.social_accounts_identity",
    # an account that was given up and connected again is two rows: the one that was given up gets another name
    """UPDATE smm.social_accounts a SET external_id = a.external_id || ' ' || a.id
      WHERE a.status = 'revoked' AND EXISTS (
        SELECT FROM smm.social_accounts b
        WHERE b.id <> a.id AND (b.organization_id, b.provider, b.base_url, b.external_id)
          = (a.organization_id, a.provider, a.base_url, a.external_id))""",
    """ALTER TABLE smm.social_accounts ADD CONSTRAINT social_accounts_identity
      UNIQUE (organization_id, provider, base_url, external_id)""",
    "DROP TABLE smm.invitations",
)


def upgrade() -> None:
    for statement in (LOCK_TIMEOUT, *UP):
        op.execute(statement)


def downgrade() -> None:
    for statement in (LOCK_TIMEOUT, *DOWN):
        op.execute(statement)
