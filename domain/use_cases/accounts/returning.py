"""FinishInBrowser: a network sent a browser back to us, which has no session to show.

What it shows is that it is the browser in which the user set out. Were the state enough, somebody could set out, send
others to the network with his own state, and have their accounts in his organization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.models import AccountConnection, Organization, SocialAccount, User, UserStatus
from domain.use_cases.accounts.connecting import NotConnected, hashed
from pgqueue import Context

if TYPE_CHECKING:
    from domain.use_cases.accounts.connecting import FinishConnecting
    from domain.use_cases.accounts.keeping import Connected


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the user is shown."""

    handle: str
    provider: str
    organization: str


@dataclass(frozen=True, slots=True)
class FinishInBrowser:
    """Connect the account for whoever set out in this browser."""

    finish: FinishConnecting

    async def __call__(
        self, context: Context, *, state: str, browser: str | None, code: str | None = None, error: str | None = None
    ) -> Welcome:
        """Connect it, and say which. Raises `NotConnected`, `NotAMember`, `Forbidden`, `PlanLimit`."""
        connecting = self.finish.connecting
        async with connecting.units.begin(context) as uow:
            user = await uow.session.scalar(
                select(User)
                .join(AccountConnection, AccountConnection.user_id == User.id)
                .where(AccountConnection.state_hash == hashed(state), User.status == UserStatus.ACTIVE)
            )
        if user is None:
            raise NotConnected("this attempt is over; begin again", code="unknown_state")
        if browser is None or not connecting.browsers.began(user, browser, state):
            raise NotConnected("this was begun in another browser, or long ago; begin again", code="other_browser")
        own = Context(context.organization_id, str(user.id), context.correlation_id)
        return await self._welcome(own, await self.finish(own, state=state, code=code, error=error))

    async def _welcome(self, context: Context, connected: Connected) -> Welcome:
        async with self.finish.connecting.units.begin(context) as uow:
            found = await uow.session.execute(
                select(SocialAccount.handle, SocialAccount.provider, Organization.name)
                .join(Organization, Organization.id == SocialAccount.organization_id)
                .where(
                    SocialAccount.organization_id == connected.organization_id,
                    SocialAccount.id == connected.account_id,
                )
            )
            return Welcome(*found.one())
