"""The tables of the domain and the rules between their states."""

from domain.models.accounts import (
    PROVIDERS,
    AccountConnection,
    ProviderApp,
    ProviderThrottle,
    SocialAccount,
)
from domain.models.analytics import (
    DIMENSIONS,
    AccountMetrics,
    Comment,
    Embedding,
    PostMetrics,
)
from domain.models.audit import (
    AuditEntry,
    IdempotencyKey,
)
from domain.models.base import (
    SCHEMA,
    Base,
)
from domain.models.billing import (
    StripeEvent,
    Subscription,
    UsageEvent,
    UsageRecord,
    UsageReport,
)
from domain.models.content import (
    Media,
    ObjectTombstone,
    Post,
    PostMedia,
)
from domain.models.identifiers import (
    new_id,
)
from domain.models.identity import (
    AccountDeletion,
    Invitation,
    Membership,
    Organization,
    User,
    UserSession,
    UserToken,
)
from domain.models.integration import (
    Report,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from domain.models.notifications import (
    EmailMessage,
    Notification,
    NotificationPreference,
)
from domain.models.plans import (
    LIMITS,
    Limits,
    Plan,
    limits_of,
)
from domain.models.publishing import (
    PublishAttempt,
    RemoteMedia,
    ScheduledPost,
)
from domain.models.roles import (
    RIGHTS,
    Right,
    Role,
)
from domain.models.states import (
    AccountStatus,
    DeletionStatus,
    DeliveryStatus,
    EmailStatus,
    EndpointStatus,
    IllegalTransition,
    OrganizationStatus,
    PostStatus,
    RemoteMediaStatus,
    ReportStatus,
    ScanStatus,
    StripeEventStatus,
    SubscriptionStatus,
    ThumbnailStatus,
    UsageReportStatus,
    UserStatus,
    transition,
)

__all__ = [
    "DIMENSIONS",
    "LIMITS",
    "PROVIDERS",
    "RIGHTS",
    "SCHEMA",
    "AccountConnection",
    "AccountDeletion",
    "AccountMetrics",
    "AccountStatus",
    "AuditEntry",
    "Base",
    "Comment",
    "DeletionStatus",
    "DeliveryStatus",
    "EmailMessage",
    "EmailStatus",
    "Embedding",
    "EndpointStatus",
    "IdempotencyKey",
    "IllegalTransition",
    "Invitation",
    "Limits",
    "Media",
    "Membership",
    "Notification",
    "NotificationPreference",
    "ObjectTombstone",
    "Organization",
    "OrganizationStatus",
    "Plan",
    "Post",
    "PostMedia",
    "PostMetrics",
    "PostStatus",
    "ProviderApp",
    "ProviderThrottle",
    "PublishAttempt",
    "RemoteMedia",
    "RemoteMediaStatus",
    "Report",
    "ReportStatus",
    "Right",
    "Role",
    "ScanStatus",
    "ScheduledPost",
    "SocialAccount",
    "StripeEvent",
    "StripeEventStatus",
    "Subscription",
    "SubscriptionStatus",
    "ThumbnailStatus",
    "UsageEvent",
    "UsageRecord",
    "UsageReport",
    "UsageReportStatus",
    "User",
    "UserSession",
    "UserStatus",
    "UserToken",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "limits_of",
    "new_id",
    "transition",
]
