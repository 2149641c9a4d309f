"""Everything that can happen in the domain, as values: ids and numbers, no rows and no texts."""

from domain.events.accounts import (
    SocialAccountConnected,
    SocialAccountDisabled,
    SocialAccountNeedsReauth,
    SocialAccountReconnected,
    SocialAccountRevoked,
    TokensRefreshed,
)
from domain.events.analytics import (
    AccountMetricsCaptured,
    CommentsCaptured,
    EmbeddingStored,
    PostMetricsCaptured,
)
from domain.events.billing import (
    GraceExpired,
    PlanDowngraded,
    StripeEventReceived,
    SubscriptionActivated,
    SubscriptionCanceled,
    SubscriptionPastDue,
    SubscriptionRecovered,
    UsageConsolidated,
)
from domain.events.content import (
    MediaCleared,
    MediaInfected,
    MediaRejected,
    MediaUploaded,
    PostEdited,
    ThumbnailReady,
)
from domain.events.identity import (
    AccountAnonymized,
    AccountDeletionCanceled,
    AccountDeletionRequested,
    EmailChanged,
    EmailVerified,
    OrgMarkedForDeletion,
    OrgReinstated,
    OrgSuspended,
    PasswordChanged,
    PasswordResetRequested,
    SessionsInvalidated,
    UserBanned,
    UserRegistered,
    UserReinstated,
)
from domain.events.integration import (
    OutgoingEvent,
    ReportFailed,
    ReportReady,
    ReportRequested,
    WebhookDelivered,
    WebhookDeliveriesReplayed,
    WebhookDeliveryFailed,
    WebhookEndpointDisabled,
)
from domain.events.notifications import NoticeLeft
from domain.events.publishing import (
    PostPublished,
    PostPublishFailed,
    PostPublishUnconfirmed,
    PostsPaused,
    PostsResumed,
    PublicationEnded,
)

Event = (
    PostPublished
    | PostPublishFailed
    | PostPublishUnconfirmed
    | PostsPaused
    | PostsResumed
    | PostEdited
    | MediaUploaded
    | MediaCleared
    | MediaInfected
    | MediaRejected
    | ThumbnailReady
    | SocialAccountConnected
    | SocialAccountReconnected
    | SocialAccountNeedsReauth
    | SocialAccountDisabled
    | SocialAccountRevoked
    | TokensRefreshed
    | PostMetricsCaptured
    | AccountMetricsCaptured
    | CommentsCaptured
    | EmbeddingStored
    | UserRegistered
    | EmailChanged
    | EmailVerified
    | PasswordResetRequested
    | PasswordChanged
    | UserBanned
    | UserReinstated
    | SessionsInvalidated
    | AccountDeletionRequested
    | AccountDeletionCanceled
    | AccountAnonymized
    | OrgSuspended
    | OrgReinstated
    | OrgMarkedForDeletion
    | StripeEventReceived
    | SubscriptionActivated
    | SubscriptionPastDue
    | SubscriptionRecovered
    | SubscriptionCanceled
    | GraceExpired
    | PlanDowngraded
    | UsageConsolidated
    | OutgoingEvent
    | WebhookDelivered
    | WebhookDeliveryFailed
    | WebhookDeliveriesReplayed
    | WebhookEndpointDisabled
    | ReportRequested
    | ReportReady
    | ReportFailed
    | NoticeLeft
)

__all__ = [
    "AccountAnonymized",
    "AccountDeletionCanceled",
    "AccountDeletionRequested",
    "AccountMetricsCaptured",
    "CommentsCaptured",
    "EmailChanged",
    "EmailVerified",
    "EmbeddingStored",
    "Event",
    "GraceExpired",
    "MediaCleared",
    "MediaInfected",
    "MediaRejected",
    "MediaUploaded",
    "NoticeLeft",
    "OrgMarkedForDeletion",
    "OrgReinstated",
    "OrgSuspended",
    "OutgoingEvent",
    "PasswordChanged",
    "PasswordResetRequested",
    "PlanDowngraded",
    "PostEdited",
    "PostMetricsCaptured",
    "PostPublishFailed",
    "PostPublishUnconfirmed",
    "PostPublished",
    "PostsPaused",
    "PostsResumed",
    "PublicationEnded",
    "ReportFailed",
    "ReportReady",
    "ReportRequested",
    "SessionsInvalidated",
    "SocialAccountConnected",
    "SocialAccountDisabled",
    "SocialAccountNeedsReauth",
    "SocialAccountReconnected",
    "SocialAccountRevoked",
    "StripeEventReceived",
    "SubscriptionActivated",
    "SubscriptionCanceled",
    "SubscriptionPastDue",
    "SubscriptionRecovered",
    "ThumbnailReady",
    "TokensRefreshed",
    "UsageConsolidated",
    "UserBanned",
    "UserRegistered",
    "UserReinstated",
    "WebhookDelivered",
    "WebhookDeliveriesReplayed",
    "WebhookDeliveryFailed",
    "WebhookEndpointDisabled",
]
