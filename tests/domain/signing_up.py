"""Steps of the tests about identity: somebody signs up, and what was mailed to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from domain.models import User, new_id
from domain.system import SYSTEM_ORGANIZATION, SYSTEM_USER
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.domain.world import World


NOBODY = Context(str(SYSTEM_ORGANIZATION), str(SYSTEM_USER))


PASSWORD = "correct horse battery"


ANA = "Ana@Nova.example"


def links(world: World, to: str = "ana@nova.example") -> list[str]:
    """The secrets that were mailed to somebody."""
    texts = [message["text"] for message in world.mail.state()["messages"] if message["to"] == [to]]
    return [found.group(1) for text in texts if (found := re.search(r"\?secret=(\S+)", text))]


async def sign_up(world: World, email: str = ANA, password: str = PASSWORD, ip: str | None = None) -> None:
    await world.app.identity.register_user(NOBODY, email=email, password=password, name="Ana", ip=ip)


async def an_active_user(world: World) -> str:
    await sign_up(world)
    await world.work()
    secret = links(world)[-1]
    return str(await world.app.identity.verify_email(NOBODY, secret=secret))


async def state(world: World) -> dict[str, Sequence[object]]:
    """What a second run must not change."""
    return {
        "users": await world.rows("SELECT id, status, session_epoch, security_stamp, password_hash FROM smm.users"),
        "tokens": await world.rows("SELECT id, used_at, revoked_at FROM smm.user_tokens ORDER BY id"),
        "emails": await world.rows("SELECT dedupe_key, status FROM smm.email_messages ORDER BY id"),
        "audit": await world.rows("SELECT action FROM smm.audit_log ORDER BY id"),
        "mail": [(message["to"], message["text"]) for message in world.mail.state()["messages"]],
    }


async def an_operator(world: World) -> Context:
    operator = User(id=new_id(), email="op@platform.example", status="active", is_operator=True)
    async with world.app.units.sessions.begin() as session:
        session.add(operator)
    return Context(str(SYSTEM_ORGANIZATION), str(operator.id))
