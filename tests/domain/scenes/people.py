"""Scenes of people and organizations: addresses, passwords, bans, suspensions, leaving."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from domain.jobs import CleanupSuspendedOrgsJob, ProcessAccountDeletionJob
from pgqueue import Context
from tests.domain.signing_up import ANA, NOBODY, PASSWORD, an_active_user, an_operator, sign_up

if TYPE_CHECKING:
    from tests.domain.scenes.stage import Scene, Stage


async def _signed_up(stage: Stage) -> None:
    await sign_up(stage.world)
    await stage.world.work()


async def _forgot_the_password(stage: Stage) -> None:
    await an_active_user(stage.world)
    await stage.world.app.identity.request_password_reset(NOBODY, email=ANA)
    await stage.world.work()


async def _banned(stage: Stage) -> None:
    operator, user_id = await an_operator(stage.world), await an_active_user(stage.world)
    await stage.world.app.identity.sign_in(NOBODY, email=ANA, password=PASSWORD)
    [user] = await stage.world.rows("SELECT id FROM smm.users WHERE id = CAST(:id AS uuid)", id=user_id)
    await stage.world.app.identity.ban_user(operator, user.id, reason="spam")
    await stage.world.work()


async def _suspended(stage: Stage) -> Context:
    operator = await an_operator(stage.world)
    await stage.world.schedule(when=datetime.now(UTC) + timedelta(days=7))
    await stage.world.app.identity.suspend_organization(operator, stage.world.tenant.organization_id, reason="fraud")
    await stage.world.work()
    return operator


async def _suspended_and_reinstated(stage: Stage) -> None:
    operator = await _suspended(stage)
    await stage.world.app.identity.reinstate_organization(operator, stage.world.tenant.organization_id)
    await stage.world.work()


async def _suspended_for_a_month(stage: Stage) -> None:
    await _suspended(stage)
    await stage.world.execute("UPDATE smm.organizations SET suspended_at = suspended_at - interval '31 days'")
    await stage.tick(CleanupSuspendedOrgsJob())


async def _wants_to_be_forgotten(stage: Stage) -> None:
    await an_active_user(stage.world)
    entered = await stage.world.app.identity.sign_in(NOBODY, email=ANA, password=PASSWORD)
    who = await stage.world.app.identity.authenticate(NOBODY, secret=entered.secret)
    await stage.world.app.identity.request_account_deletion(Context(NOBODY.organization_id, str(who.user_id)))
    await stage.world.work()
    await stage.world.execute(
        "UPDATE smm.account_deletions SET requested_at = requested_at - interval '31 days', due_at = now()"
    )
    await stage.world.execute("DELETE FROM pgqueue.jobs WHERE kind = 'ProcessAccountDeletionJob'")
    await stage.tick(ProcessAccountDeletionJob())


SCENES: dict[str, Scene] = {
    "SendVerificationEmailJob": _signed_up,
    "SendPasswordResetJob": _forgot_the_password,
    "InvalidateUserSessionsJob": _banned,
    "PauseOrgScheduledPostsJob": _suspended_and_reinstated,
    "CleanupSuspendedOrgsJob": _suspended_for_a_month,
    "ProcessAccountDeletionJob": _wants_to_be_forgotten,
}
