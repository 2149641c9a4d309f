"""The steps of a deletion that the database does: each is one transaction and returns what it did, in numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import delete, func, insert, literal, select, update

from domain.events import AccountAnonymized, OrgMarkedForDeletion
from domain.models import (
    AccountConnection,
    AccountDeletion,
    AccountStatus,
    Comment,
    DeletionStatus,
    EmailMessage,
    Embedding,
    IdempotencyKey,
    Invitation,
    Media,
    Membership,
    Notification,
    NotificationPreference,
    ObjectTombstone,
    Organization,
    OrganizationStatus,
    Post,
    PostMedia,
    PostStatus,
    PublishAttempt,
    RemoteMedia,
    Report,
    ScheduledPost,
    SocialAccount,
    User,
    UserSession,
    UserStatus,
    UserToken,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    transition,
)
from domain.use_cases.accounts.giving_up import give_up
from domain.use_cases.administration.ownership import sole_ownership
from domain.use_cases.administration.users import end_access
from domain.use_cases.auditing import audit
from domain.use_cases.clock import database_now
from domain.use_cases.notices import administrators, give_notice
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from domain.unit_of_work import UnitOfWork

Facts = dict[str, Any]
"""Numbers by table, and ids of organizations; nothing personal."""
Step = Callable[["UnitOfWork", AccountDeletion, User], Awaitable[Facts]]

DELETED = "account_deleted"
SLICE = 500
# What is the user's alone.
_OWN = (
    UserSession.user_id,
    UserToken.user_id,
    Notification.user_id,
    NotificationPreference.user_id,
    EmailMessage.user_id,
    IdempotencyKey.user_id,
    AccountConnection.user_id,
    Membership.user_id,
    Invitation.invited_by,
)
# What goes with an organization that nobody is left in; children before what they point to.
_OF_ORGANIZATION = (
    Embedding.organization_id,
    Comment.organization_id,
    PostMedia.organization_id,
    RemoteMedia.organization_id,
    WebhookDelivery.organization_id,
    WebhookEvent.organization_id,
    WebhookEndpoint.organization_id,
    Notification.organization_id,
    Invitation.organization_id,
)


class StillNeeded(Exception):
    """Others would be left without an owner; a human has to decide."""


def grants_of(user_id: UUID, organizations: Sequence[UUID]) -> ColumnElement[bool]:
    """Tell which accounts are given up: what the user has connected, and what closes with the user."""
    return (SocialAccount.connected_by == user_id) | SocialAccount.organization_id.in_(organizations)


async def end_grant_of(uow: UnitOfWork, account: SocialAccount) -> None:
    """Give up an account whose grant goes with a user, and tell those who are left to connect it again."""
    own = _in(uow, account.organization_id)
    await give_up(own, account, DELETED)
    key = f"account_revoked:{account.id}"
    await give_notice(own, await administrators(own), "account_revoked", key=key, handle=account.handle)


async def begin(uow: UnitOfWork, deletion: AccountDeletion, user: User) -> Facts:
    """Start: from here on there is no canceling."""
    if shared := (await sole_ownership(uow, user.id)).shared:
        raise StillNeeded(", ".join(str(id_) for id_ in shared))
    transition(deletion, DeletionStatus.RUNNING)
    end_access(user)
    return {}


async def revoke(uow: UnitOfWork, deletion: AccountDeletion, user: User) -> Facts:  # noqa: ARG001 - every step is called alike
    """Wipe whatever credentials are left, whether or not the network took them back."""
    mine = grants_of(user.id, (await sole_ownership(uow, user.id)).alone)
    left = await uow.session.scalars(
        select(SocialAccount).where(mine, SocialAccount.status != AccountStatus.REVOKED).with_for_update()
    )
    for account in left.all():
        await end_grant_of(uow, account)
    revoked = await uow.session.scalar(select(func.count()).select_from(SocialAccount).where(mine))
    return {"social_accounts": revoked or 0}


async def organizations(uow: UnitOfWork, deletion: AccountDeletion, user: User) -> Facts:  # noqa: ARG001 - every step is called alike
    """Close the organizations that nobody else is in: the owner's thirty days were theirs. Nothing begins there now."""
    owned = await sole_ownership(uow, user.id, lock=True)
    if owned.shared:
        raise StillNeeded(", ".join(str(id_) for id_ in owned.shared))
    now = await database_now(uow)
    for id_ in owned.alone:
        row = await uow.session.get_one(Organization, id_)
        own = _in(uow, id_)
        if row.status != OrganizationStatus.PENDING_DELETION:
            transition(row, OrganizationStatus.PENDING_DELETION)
            row.deletion_due_at = now
            await own.publish(OrgMarkedForDeletion(organization_id=id_, due_at=now))
            await uow.session.flush()
        transition(row, OrganizationStatus.DELETED)
        row.name, row.slug = "", f"deleted-{id_}"
        audit(own, "organization.deleted", ("organization", id_))
    return {"closed": [str(id_) for id_ in owned.alone]}


async def farewell(uow: UnitOfWork, deletion: AccountDeletion, user: User) -> Facts:  # noqa: ARG001 - every step is called alike
    """Note that the last mail is out of the way: from here on the address may go."""
    return {}


async def belongings(uow: UnitOfWork, deletion: AccountDeletion, user: User) -> Facts:
    """Delete what is the user's alone and the content of the organizations that closed."""
    closed = _closed(deletion)
    facts = await _bury_objects(uow, closed) if closed else {}
    if closed:
        for column in _OF_ORGANIZATION:
            await _delete(uow, column.in_(closed), column, facts)
        await _delete(uow, Media.organization_id.in_(closed), Media.organization_id, facts)
        await _delete(uow, Report.organization_id.in_(closed), Report.organization_id, facts)
        await _blank(uow, closed)
    for own in _OWN:
        await _delete(uow, own == user.id, own, facts)
    await _delete(uow, Invitation.email == user.email.lower(), Invitation.email, facts)
    return facts


async def anonymize(uow: UnitOfWork, deletion: AccountDeletion, user: User) -> Facts:
    """Leave a pseudonym in the user's place, for posts and for what the law wants kept."""
    now = await database_now(uow)
    user.email = f"deleted+{user.id}@invalid.invalid"
    user.name, user.password_hash, user.pending_email = "", None, None
    user.email_verified_at = user.ban_reason = None
    user.is_operator = False
    transition(user, UserStatus.ANONYMIZED)
    user.anonymized_at = deletion.finished_at = now
    transition(deletion, DeletionStatus.DONE)
    audit(uow, "user.anonymized", ("user", user.id))
    await uow.publish(AccountAnonymized(deletion_id=deletion.id, user_id=user.id))
    return {"users": 1}


STEPS: Mapping[str, Step] = {
    step.__name__: step for step in (begin, revoke, organizations, farewell, belongings, anonymize)
}
"""In the order in which they are done."""


def _in(uow: UnitOfWork, organization_id: UUID) -> UnitOfWork:
    """Speak for an organization, in the same transaction."""
    context = Context(str(organization_id), uow.context.user_id, uow.context.correlation_id)
    return uow.within(context)


async def cancel_some(uow: UnitOfWork, deletion_id: UUID) -> bool:
    """Cancel a slice of what the organizations that closed had scheduled; tell whether there may be more."""
    deletion = await uow.session.get_one(AccountDeletion, deletion_id)
    found = await uow.session.scalars(
        select(ScheduledPost)
        .where(
            ScheduledPost.organization_id.in_(_closed(deletion)),
            ScheduledPost.status.in_((PostStatus.SCHEDULED, PostStatus.PAUSED)),
        )
        .order_by(ScheduledPost.id)
        .limit(SLICE)
        .with_for_update()
    )
    posts = found.all()
    for post in posts:
        transition(post, PostStatus.CANCELED)
        post.paused_from = post.paused_reason = None
    return len(posts) == SLICE


def _closed(deletion: AccountDeletion) -> list[UUID]:
    return [UUID(id_) for id_ in (deletion.evidence or {}).get("closed", ())]


async def _bury_objects(uow: UnitOfWork, closed: list[UUID]) -> Facts:
    """Note every stored object, in the transaction that drops its row: the purge deletes them one by one."""
    keys = (
        (Media.storage_key, Media.organization_id),
        (Media.thumbnail_key, Media.organization_id),
        (Report.storage_key, Report.organization_id),
    )
    buried = 0
    for key, organization_id in keys:
        objects = select(key, organization_id, literal("account_deleted")).where(
            organization_id.in_(closed), key.is_not(None)
        )
        columns = ["storage_key", "organization_id", "reason"]
        found = await uow.session.execute(
            insert(ObjectTombstone).from_select(columns, objects).returning(ObjectTombstone.storage_key)
        )
        buried += len(found.all())
    return {"objects": buried}


async def _delete(uow: UnitOfWork, which: ColumnElement[bool], column: Any, facts: Facts) -> None:
    model = column.class_
    done = await uow.session.execute(delete(model).where(which).execution_options(synchronize_session=False))
    name = model.__tablename__
    facts[name] = facts.get(name, 0) + done.rowcount  # type: ignore[attr-defined]  # a DELETE's result counts


async def _blank(uow: UnitOfWork, closed: list[UUID]) -> None:
    """Take the texts out of rows that others point to."""
    blanks: tuple[tuple[Any, Facts], ...] = (
        (Post, {"body": "", "overrides": {}, "deleted_at": func.clock_timestamp()}),
        (ScheduledPost, {"failure_message": None, "comments_cursor": None, "remote_plan": {}}),
        (PublishAttempt, {"excerpt": None}),
        (SocialAccount, {"handle": "", "display_name": "", "avatar_url": None}),
    )
    for model, values in blanks:
        await uow.session.execute(
            update(model)
            .where(model.organization_id.in_(closed))
            .values(values)
            .execution_options(synchronize_session=False)
        )
