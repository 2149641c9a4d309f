"""Scene 5: a token ends, and two jobs need the new one; another is taken back, and a human has to act."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import ANA, BRUNO, SECRETS
from domain.use_cases.notice_texts import told

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

TWINS = ("Chegou a nova edição de Dom Casmurro", "Clube do livro: quinta às 19h")
ASKED, _ = told("pt-BR", "account_needs_reauth", {"handle": "@aurora_eventos"})
REFUSED, LATER = "Feira de rua neste domingo", "Feira de rua no próximo domingo"


async def play(stage: Stage) -> None:
    """Let Bluesky's sessions end, then take one account's grant back on Mastodon, as its owner would."""
    stage.outside.bluesky.tell("expire")
    stage.say("Bluesky's access tokens are over; two posts notice at once")
    bakery = stage.tenants.bakery
    for text in TWINS:
        await stage.post(bakery, BRUNO, text, ("aurora.bsky",))
    await stage.at_rest(*TWINS)
    url = f"{stage.outside.mastodon.url}/oauth/revoke"
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.post(url, json={"token": SECRETS[1]})).raise_for_status()
    stage.say("somebody took the grant of @aurora_eventos back; one post is due, one is planned")
    await stage.post(bakery, BRUNO, LATER, ("aurora_eventos",), when=datetime.now(UTC) + timedelta(days=7))
    await stage.post(bakery, BRUNO, REFUSED, ("aurora_eventos",))
    await stage.at_rest(REFUSED)


def check(facts: Facts) -> list[Check]:
    """Count the refreshes on the network's side; look at the dead grant's account, posts and mail."""
    state = facts.outside.bluesky.state()
    refreshed = sum("refreshSession" in call for call in state["calls"])
    twins = [row for text in TWINS for row in facts.published(text)]
    there = sum(facts.times(text).get("bluesky", 0) for text in TWINS)
    [due], [planned] = facts.published(REFUSED), facts.published(LATER)
    mails = len(facts.mailed(BRUNO, REFUSED))
    asked = len(facts.mailed(ANA, ASKED))
    return [
        Check(
            "expired token: refreshed once, both published",
            refreshed == 1 and there == len(TWINS) and {row["status"] for row in twins} == {"published"},
            f"{refreshed} refresh call, {there} posts; {', '.join(' → '.join(row['outcomes']) for row in twins)}",
        ),
        Check(
            "dead grant: the account waits for a human, and so do its posts",
            (due["account_status"], due["status"], planned["status"]) == ("needs_reauth", "failed", "paused"),
            f"account {due['account_status']}, due post {due['status']}, planned post {planned['status']}",
        ),
        Check("dead grant: the author was told by mail", mails == 1, f"{mails} to {BRUNO}"),
        Check("dead grant: who connected it was asked by mail to do so again", asked == 1, f"{asked} to {ANA}"),
    ]


SCENE = Scene(5, "Expired token, dead grant", play, check)
