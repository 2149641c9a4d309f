"""The tables of the domain and the rules between their states."""

from domain.models.accounts import SocialAccount
from domain.models.base import SCHEMA, Base
from domain.models.identifiers import new_id
from domain.models.notifications import EmailMessage, Notification
from domain.models.organizations import Membership, Organization, User
from domain.models.posts import Post, PublishAttempt, ScheduledPost
from domain.models.states import (
    AccountStatus,
    EmailStatus,
    IllegalTransition,
    PostStatus,
    transition,
)

__all__ = [
    "SCHEMA",
    "AccountStatus",
    "Base",
    "EmailMessage",
    "EmailStatus",
    "IllegalTransition",
    "Membership",
    "Notification",
    "Organization",
    "Post",
    "PostStatus",
    "PublishAttempt",
    "ScheduledPost",
    "SocialAccount",
    "User",
    "new_id",
    "transition",
]
