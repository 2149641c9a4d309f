"""Scene 10: a new password for somebody we know, and for somebody we do not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import ANA

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

UNKNOWN = "ninguem@example.com"
_LINK = re.compile(r"/reset-password\?secret=([\w=-]+)")


async def play(stage: Stage) -> None:
    """Ask for both."""
    context = stage.tenants.bakery.context(ANA)
    for address in (ANA, UNKNOWN):
        await stage.app.identity.request_password_reset(context, email=address)
        stage.say(f"somebody wants a new password for {address}; the answer is the same")
    await stage.at_rest()


def check(facts: Facts) -> list[Check]:
    """The same rows for both, one mail, and its secret nowhere in the database."""
    tokens = facts.number("SELECT count(*) FROM smm.user_tokens WHERE purpose = 'reset_password'")
    states = sorted(
        row["state"] for row in facts.rows("SELECT state FROM pgqueue.all_jobs WHERE kind = 'SendPasswordResetJob'")
    )
    found = [link.group(1) for message in facts.mailed(ANA) if (link := _LINK.search(message["text"]))]
    to_unknown = len(facts.mailed(UNKNOWN))
    stored = [table for table in facts.tables() for secret in found if facts.mentions(table, secret)]
    return [
        Check(
            "reset for a known and an unknown address: the same rows, one mail",
            (tokens, len(states), len(found), to_unknown) == (2, 2, 1, 0),
            f"{tokens} tokens, jobs {' and '.join(states)}, {len(found)} + {to_unknown} mails",
        ),
        Check("the link's secret is stored nowhere", bool(found) and not stored, ", ".join(stored) or "0 rows hold it"),
    ]


SCENE = Scene(10, "Reset mail, known and unknown address", play, check)
