"""Scene 2: the network has the post and its answer is lost, on each of the four networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.scenes.happy import photo
from domain.demo.seed import BRUNO

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

TEXT = "Hoje tem café coado na hora e conversa boa"
WAYS = {
    "mastodon": "the same Idempotency-Key again",
    "bluesky": "the same record under the same key",
    "instagram": "the container says that it was published",
    "linkedin": "the refusal names the post",
}


async def play(stage: Stage) -> None:
    """Drop the answer to the call that makes the post."""
    picture = await photo(stage, "café.jpg")
    out = stage.outside
    stage.spoil(out.mastodon, "drop")
    stage.spoil(out.bluesky, "drop", path="putRecord")
    stage.spoil(out.instagram, "drop", path="media_publish")
    stage.spoil(out.linkedin, "drop", path="/rest/posts")
    stage.say("four networks store a post and do not say so: nobody knows whether it is there")
    bakery = stage.tenants.bakery
    await stage.post(bakery, BRUNO, TEXT, ("aurora", "aurora.bsky", "aurora.instagram"), media=[picture])
    await stage.post(bakery, BRUNO, TEXT, ("aurora.linkedin",))
    await stage.at_rest(TEXT)


def check(facts: Facts) -> list[Check]:
    """Look at each network."""
    found, posts = facts.times(TEXT), {row["provider"]: row for row in facts.published(TEXT)}
    checks = []
    for name, way in WAYS.items():
        post = posts[name]
        ok = post["status"] == "published" and found.get(name) == 1 and "unknown" in post["outcomes"]
        detail = f"{' → '.join(post['outcomes'])}; {found.get(name, 0)} there: {way}"
        checks.append(Check(f"lost answer on {name}: one post", ok, detail))
    return checks


SCENE = Scene(2, "Lost reply, on four networks", play, check)
