"""Scene 7: a receiver that fails twice, one that is gone, and one that leads inside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import ANA, BRUNO
from domain.gateways.webhooks import NotAnEndpoint

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

TEXT = "Encomendas de panetone estão abertas"
INSIDE = "https://169.254.169.254/latest/meta-data/"
_FAILURES = 2


async def play(stage: Stage) -> None:
    """Register the endpoints and publish something."""
    receiver, bakery = stage.outside.receiver, stage.tenants.bakery
    register, context = stage.app.integration.register_endpoint, bakery.context(ANA)
    hook = await register(context, f"{receiver.url}/hook", event_types=["post.published"])
    receiver.tell("trust", secrets=[hook.secret])
    await register(context, f"{receiver.url}/gone", event_types=["post.published"])
    try:
        await register(context, INSIDE)
    except NotAnEndpoint as error:
        stage.say(f"{INSIDE} is refused: {error}")
    rebound = await register(context, f"{receiver.url}/rebound", event_types=["post.published"])
    stage.age("UPDATE smm.webhook_endpoints SET url = %s WHERE id = %s", INSIDE, rebound.endpoint_id)
    stage.say("another endpoint leads there only after it was registered, as a name server could have it")
    stage.spoil(receiver, "error", calls=_FAILURES)
    await stage.post(bakery, BRUNO, TEXT, ("aurora",))
    await stage.at_rest(TEXT)


def check(facts: Facts) -> list[Check]:
    """What the receiver got and could verify; what became of the endpoints."""
    [post] = facts.published(TEXT)
    received = [
        request
        for request in facts.outside.receiver.state()["received"]
        if json.loads(request["body"])["data"].get("scheduled_post_id") == str(post["id"])
    ]
    hooked = [request for request in received if request["path"] == "/hook"]
    ids, good = {request["id"] for request in hooked}, sum(bool(request["verified"]) for request in hooked)
    status = {
        row["url"].rpartition("/")[2] or "inside": (row["status"], row["delivery"], row["attempts"])
        for row in facts.rows(
            """SELECT e.url, e.status, d.status AS delivery, d.attempts FROM smm.webhook_endpoints e
               JOIN smm.webhook_deliveries d ON d.endpoint_id = e.id
               JOIN smm.webhook_events v ON v.id = d.event_id WHERE strpos(v.body, %s) > 0""",
            str(post["id"]),
        )
    }
    gone = sum(request["path"] == "/gone" for request in received)
    others = len(received) - len(hooked) - gone
    tries = _FAILURES + 1
    return [
        Check(
            "webhook: failed twice, delivered, every signature verified",
            (len(hooked), len(ids), good) == (tries, 1, tries) and status["hook"] == ("active", "delivered", tries),
            f"{len(hooked)} requests with {len(ids)} id, {good} verified by the receiver; {status['hook'][1]}",
        ),
        Check(
            "webhook: 410 disables the endpoint",
            gone == 1 and status["gone"][0] == "disabled_gone",
            f"{gone} request, endpoint {status['gone'][0]}",
        ),
        Check(
            "webhook: 169.254.169.254 is blocked",
            others == 0 and status["inside"][0] == "disabled_blocked",
            f"{others} requests elsewhere, endpoint {status['inside'][0]}",
        ),
    ]


SCENE = Scene(7, "Webhooks: 500 twice, 410, and one that leads inside", play, check)
