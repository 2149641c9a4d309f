"""Scene 4: a network says how long it wants to be left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import BRUNO

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

TEXT = "Sábado é dia de contação de histórias para crianças"
WAIT = 3.0


async def play(stage: Stage) -> None:
    """Answer 429 once."""
    stage.spoil(stage.outside.bluesky, "rate_limit", path="putRecord", seconds=WAIT)
    stage.say(f"Bluesky says 429 and Retry-After: {WAIT:.0f}; these are real seconds")
    await stage.post(stage.tenants.bakery, BRUNO, TEXT, ("aurora.bsky",))
    await stage.at_rest(TEXT)


def check(facts: Facts) -> list[Check]:
    """Two calls, the second one not before its time, and no attempt of the job spent on it."""
    calls = facts.rows(
        """SELECT extract(epoch FROM c.started_at - lag(c.finished_at) OVER (ORDER BY c.attempt))::float AS pause
           FROM smm.posts p JOIN smm.scheduled_posts s ON s.post_id = p.id
           JOIN smm.publish_attempts c ON c.scheduled_post_id = s.id WHERE p.body = %s ORDER BY c.attempt""",
        TEXT,
    )
    [post] = facts.published(TEXT)
    pause = calls[-1]["pause"] or 0.0
    ok = post["status"] == "published" and post["outcomes"] == ["rate_limited", "ok"] and post["job_attempt"] == 1
    detail = f"{' → '.join(post['outcomes'])}, {pause:.1f} s between; attempts of the job: {post['job_attempt']}"
    return [Check("rate limit: waited as told, no attempt spent", ok and pause >= WAIT, detail)]


SCENE = Scene(4, "429: come back in 3 seconds", play, check)
