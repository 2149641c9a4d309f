"""Scene 3: a worker is killed with SIGKILL while the network answers it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import BRUNO

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

TEXT = "Novidade na vitrine: torta de maçã com canela"
_SLOW = 20.0


async def play(stage: Stage) -> None:
    """Let the answer take long, and kill whoever waits for it."""
    stage.spoil(stage.outside.mastodon, "slow", seconds=_SLOW)
    await stage.post(stage.tenants.bakery, BRUNO, TEXT, ("aurora",))
    await stage.until("a call in flight", lambda: stage.outside.mastodon.state()["open_calls"])
    worker = await stage.until("the worker of that call", lambda: _worker(stage.facts))
    os.kill(worker[0]["pid"], signal.SIGKILL)
    stage.say(f"worker {worker[0]['pid']} was killed while it published; its lease ends, another one takes over")
    await stage.at_rest(TEXT)


def _worker(facts: Facts) -> list[dict[str, Any]]:
    """Find the process that is publishing the post."""
    return facts.rows(
        """SELECT w.pid FROM smm.posts p JOIN smm.scheduled_posts s ON s.post_id = p.id
           JOIN pgqueue.all_jobs j ON j.args ->> 'scheduled_post_id' = s.id::text AND j.state = 'running'
           JOIN pgqueue.workers w ON w.id = j.worker_id WHERE p.body = %s""",
        TEXT,
    )


def check(facts: Facts) -> list[Check]:
    """Whoever made the first call never wrote down how it ended; and yet the post is there, once."""
    calls = facts.rows(
        """SELECT c.finished_at IS NULL AS abandoned, c.outcome FROM smm.posts p
           JOIN smm.scheduled_posts s ON s.post_id = p.id
           JOIN smm.publish_attempts c ON c.scheduled_post_id = s.id WHERE p.body = %s ORDER BY c.attempt""",
        TEXT,
    )
    [post] = facts.published(TEXT)
    abandoned, there = sum(call["abandoned"] for call in calls), facts.times(TEXT).get("mastodon", 0)
    ok = post["status"] == "published" and there == 1 and abandoned == 1 and len(calls) > 1
    detail = f"{len(calls)} calls, {abandoned} abandoned; {there} on the network; job {post['job_state']}"
    return [Check("killed in mid-publish: one post", ok, detail)]


SCENE = Scene(3, "kill -9 of a worker in mid-publish", play, check)
