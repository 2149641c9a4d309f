"""Scene 8: Stripe says the same three times and something old after it; grace passes; what was used is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import CLARA, CUSTOMER

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

TEXTS = ("Lançamento: poesia de cordel", "Autora da casa autografa amanhã", "Sebo do mês: ficção científica")
_SUBSCRIPTION = "sub_horizonte"
_COPIES = 3


async def play(stage: Stage) -> None:
    """Pay, stop paying, let the grace pass; tell the meter."""
    for text in TEXTS:
        await stage.post(stage.tenants.bookshop, CLARA, text, ("horizonte",))
    await stage.at_rest(*TEXTS)
    begun = _event(stage, "active")
    await _receive(stage, begun)
    await stage.until("the plan", lambda: _plan(stage.facts) == "pro")
    old, unpaid = _event(stage, "active"), _event(stage, "past_due")
    stage.say(f"Stripe posts 'past_due' {_COPIES} times at once, and an older 'active' after it")
    await asyncio.gather(*(_receive(stage, unpaid) for _ in range(_COPIES)))
    await _receive(stage, old)
    await stage.at_rest()
    stage.say("a week of grace passes (by moving the times of one row back)")
    stage.age(
        """UPDATE smm.subscriptions SET past_due_since = past_due_since - interval '8 days',
             grace_until = grace_until - interval '8 days' WHERE stripe_subscription_id = %s""",
        _SUBSCRIPTION,
    )
    await stage.operate("schedules", "run", "check_expired_subscriptions")
    await stage.until("the free plan", lambda: _plan(stage.facts) == "free")
    await stage.operate("schedules", "run", "fan_out_usage")
    await stage.until("the meter", lambda: _told(stage.facts))
    await stage.at_rest()


def _event(stage: Stage, status: str) -> dict[str, Any]:
    """Change the subscription on Stripe's side; return the signed event, which is not posted yet."""
    return stage.outside.stripe.tell(
        "subscriptions", subscription=_SUBSCRIPTION, customer=CUSTOMER, status=status, plan="pro"
    )


async def _receive(stage: Stage, event: dict[str, Any]) -> None:
    context = stage.tenants.bookshop.context(CLARA)
    await stage.app.billing.receive_stripe_event(context, event["body"].encode(), event["signature"])


def _plan(facts: Facts) -> str:
    [row] = facts.rows("SELECT plan FROM smm.organizations WHERE stripe_customer_id = %s", CUSTOMER)
    return str(row["plan"])


def _told(facts: Facts) -> list[dict[str, Any]]:
    return [each for each in facts.outside.stripe.state()["usage"] if each["customer"] == CUSTOMER]


def check(facts: Facts) -> list[Check]:
    """Count the changes that people were told of; compare plan and meter with Stripe's side."""
    [events] = facts.rows(
        """SELECT count(*) AS events, count(*) FILTER (WHERE status = 'processed') AS processed
           FROM smm.stripe_events WHERE customer_id = %s""",
        CUSTOMER,
    )
    told = {
        row["kind"]: row["n"]
        for row in facts.rows(
            "SELECT kind, count(*) AS n FROM smm.notifications WHERE kind LIKE ANY (%s) GROUP BY kind",
            ["subscription%", "plan%"],
        )
    }
    theirs = facts.outside.stripe.state()["subscriptions"].get(_SUBSCRIPTION)
    meter = max(_told(facts), key=lambda each: each["timestamp"], default={"value": None})["value"]
    used = sum(facts.times(text).get("mastodon", 0) for text in TEXTS)
    return [
        Check(
            "the same event three times and an old one: one change",
            told.get("subscription_past_due") == 1 and "subscription_recovered" not in told,
            f"{events['events']} events stored, {events['processed']} processed, {told}",
        ),
        Check(
            "grace is over: the free plan, and nothing left to pay",
            (_plan(facts), theirs, told.get("plan_downgraded")) == ("free", "canceled", 1),
            f"plan {_plan(facts)}, Stripe's subscription {theirs}",
        ),
        Check("the meter has what the network has", meter == used > 0, f"{meter} on the meter, {used} posts"),
    ]


SCENE = Scene(8, "Stripe: the same event three times, grace, usage", play, check)
