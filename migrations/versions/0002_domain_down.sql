-- The way back from domain_0002.

DROP TABLE smm.embeddings;
DROP TABLE smm.remote_media;
DROP TABLE smm.post_metrics;
DROP TABLE smm.comments;
DROP TABLE smm.webhook_deliveries;
DROP TABLE smm.usage_reports;
DROP TABLE smm.post_media;
DROP TABLE smm.account_metrics;
DROP TABLE smm.webhook_events;
DROP TABLE smm.webhook_endpoints;
DROP TABLE smm.user_tokens;
DROP TABLE smm.usage_records;
DROP TABLE smm.usage_events;
DROP TABLE smm.subscriptions;
DROP TABLE smm.stripe_events;
DROP TABLE smm.sessions;
DROP TABLE smm.reports;
DROP TABLE smm.notification_preferences;
DROP TABLE smm.media;
DROP TABLE smm.account_deletions;
DROP TABLE smm.account_connections;
DROP TABLE smm.provider_throttles;
DROP TABLE smm.provider_apps;
DROP TABLE smm.object_tombstones;
DROP TABLE smm.idempotency_keys;
DROP TABLE smm.audit_log;

-- What the tables of domain_0001 cannot say is lost: mails of nobody's tenant, accounts on other networks with
-- what hangs on them, all but the publishing call of an attempt.

DELETE FROM smm.email_messages
  WHERE status = 'suppressed' OR organization_id NOT IN (SELECT id FROM smm.organizations);
DROP INDEX smm.email_messages_created_at;
DROP INDEX smm.email_messages_of_recipient;
DROP INDEX smm.email_messages_user_id;
ALTER TABLE smm.email_messages
  DROP CONSTRAINT email_messages_status_known,
  ADD CONSTRAINT email_messages_status_known CHECK (status IN ('pending', 'sending', 'sent', 'bounced')),
  ADD CONSTRAINT email_messages_organization_id_fkey FOREIGN KEY(organization_id) REFERENCES smm.organizations (id);

DROP INDEX smm.notifications_created_at;
ALTER TABLE smm.notifications
  DROP COLUMN data;

DELETE FROM smm.scheduled_posts p USING smm.social_accounts a
  WHERE a.id = p.social_account_id AND a.provider <> 'mastodon';
DELETE FROM smm.social_accounts WHERE provider <> 'mastodon';
DELETE FROM smm.publish_attempts WHERE phase IN ('upload', 'create');
UPDATE smm.publish_attempts SET outcome = 'unknown' WHERE outcome = 'duplicate';
ALTER TABLE smm.publish_attempts
  DROP CONSTRAINT publish_attempts_scheduled_post_id_attempt_phase_key;
UPDATE smm.publish_attempts a SET attempt = n.number
  FROM (SELECT id, row_number() OVER (PARTITION BY scheduled_post_id ORDER BY attempt, started_at) AS number
        FROM smm.publish_attempts) n
  WHERE n.id = a.id AND n.number <> a.attempt;
DROP INDEX smm.publish_attempts_started_at;
ALTER TABLE smm.publish_attempts
  DROP CONSTRAINT publish_attempts_phase_known,
  ADD CONSTRAINT publish_attempts_phase_known CHECK (phase IN ('publish', 'reconcile')),
  DROP CONSTRAINT publish_attempts_outcome_known,
  ADD CONSTRAINT publish_attempts_outcome_known CHECK (outcome IN ('ok', 'rate_limited', 'auth', 'rejected', 'transient', 'unknown')),
  ADD CONSTRAINT publish_attempts_scheduled_post_id_attempt_key UNIQUE (scheduled_post_id, attempt);

DROP INDEX smm.scheduled_posts_account;
DROP INDEX smm.scheduled_posts_comments_due;
DROP INDEX smm.scheduled_posts_metrics_due;
DROP INDEX smm.scheduled_posts_paused;
DROP INDEX smm.scheduled_posts_post_id;
ALTER TABLE smm.scheduled_posts
  DROP COLUMN wall_time,
  DROP COLUMN wall_zone,
  DROP COLUMN retry_no,
  DROP COLUMN remote_plan,
  DROP COLUMN next_metrics_at,
  DROP COLUMN metrics_stopped,
  DROP COLUMN next_comments_at,
  DROP COLUMN comments_cursor;

ALTER TABLE smm.posts
  DROP COLUMN overrides,
  DROP COLUMN content_hash,
  DROP COLUMN deleted_at;

DROP INDEX smm.social_accounts_expiring;
ALTER TABLE smm.social_accounts
  DROP CONSTRAINT social_accounts_credentials_present,
  DROP CONSTRAINT social_accounts_provider_known,
  ADD CONSTRAINT social_accounts_provider_known CHECK (provider IN ('mastodon')),
  DROP COLUMN display_name,
  DROP COLUMN avatar_url,
  DROP COLUMN token_version,
  DROP COLUMN access_expires_at,
  DROP COLUMN refresh_expires_at,
  DROP COLUMN refresh_failures,
  DROP COLUMN last_refreshed_at,
  DROP COLUMN scopes,
  DROP COLUMN limits,
  DROP COLUMN last_metrics_at;

ALTER TABLE smm.users
  DROP CONSTRAINT users_pending_deletion_is_complete,
  DROP CONSTRAINT users_banned_is_complete,
  DROP CONSTRAINT users_anonymized_is_complete,
  DROP COLUMN pending_email,
  DROP COLUMN email_verified_at,
  DROP COLUMN password_hash,
  DROP COLUMN is_operator,
  DROP COLUMN session_epoch,
  DROP COLUMN security_stamp,
  DROP COLUMN banned_at,
  DROP COLUMN ban_reason,
  DROP COLUMN deletion_requested_at,
  DROP COLUMN deletion_due_at,
  DROP COLUMN anonymized_at;

ALTER TABLE smm.organizations
  DROP CONSTRAINT organizations_suspended_is_complete,
  DROP CONSTRAINT organizations_pending_deletion_is_complete,
  DROP COLUMN timezone,
  DROP COLUMN locale,
  DROP COLUMN plan,
  DROP COLUMN suspension_id,
  DROP COLUMN suspended_at,
  DROP COLUMN suspension_reason,
  DROP COLUMN deletion_due_at,
  DROP COLUMN stripe_customer_id,
  DROP COLUMN retry_after_reconnect;
