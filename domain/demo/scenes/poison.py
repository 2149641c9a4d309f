"""Scene 9: a job fails whenever it runs. It ends in the dead letters, is found with SQL, and requeued."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import DIEGO
from domain.standins.faults import FOR_EVER

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

TEXT = "Brunch de domingo com reservas abertas"
TRIAGE: LiteralString = """\
SELECT id, kind, reason, attempt, error
  FROM pgqueue.dead_jobs
 ORDER BY died_at DESC"""
_ATTEMPTS = 3


async def play(stage: Stage) -> None:
    """Let a server answer every call with a page that is none of its API's answers; then repair it."""
    second = stage.outside.second
    stage.spoil(second, "garbage", calls=FOR_EVER)
    stage.say("a proxy in front of the second Mastodon server answers with an HTML page")
    await stage.post(stage.tenants.cafe, DIEGO, TEXT, ("cafe_central",))
    dead = await stage.until("the dead letter", lambda: stage.facts.rows(TRIAGE))
    stage.screen.show(TRIAGE)
    for row in dead:
        stage.screen.show("  " + "  ".join(f"{name}={value}" for name, value in row.items()))
    [post] = stage.facts.published(TEXT)
    stage.say(f"the post is {post['status']}: nobody can say whether the network has it; the proxy is repaired")
    second.tell("clear")
    await stage.operate("dead", "requeue", *(str(row["id"]) for row in dead), "--by", "the demo")
    await stage.at_rest(TEXT)


def check(facts: Facts) -> list[Check]:
    """The job remembers its first life; the post is there once."""
    [post] = facts.published(TEXT)
    there, left = facts.times(TEXT).get("mastodon", 0), facts.number("SELECT count(*) FROM pgqueue.dead_jobs")
    requeued = facts.number("SELECT count(*) FROM pgqueue.actions WHERE verb = 'requeue' AND done_by = 'the demo'")
    failures = len(post["job_errors"])
    ok = (post["status"], post["job_state"], there, left) == ("published", "completed", 1, 0)
    detail = f"{failures} failures, {requeued} requeue on record, then {post['job_state']}; {there} on the network"
    return [Check("poison job: buried, found, requeued, done", ok and failures >= _ATTEMPTS and requeued == 1, detail)]


SCENE = Scene(9, "Poison job: dead letter, SQL, requeue", play, check)
