"""`python -m domain.demo.storm --posts 2000`: lost replies, rate limits, slow answers and killed workers, all at once.

Four networks, and a fifth server that is broken on purpose. The seed decides what goes wrong, where, and in what order;
the moments are the machine's. Exit code 0: each post is on its network once, and only the broken server made dead
letters; requeued after its repair, they are published too.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import os
import random
import signal
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from domain.composition import open_application
from domain.demo.checks import Check, check
from domain.demo.running import Demo
from domain.demo.scenes.happy import photo
from domain.demo.screen import Screen
from domain.demo.seed import BRUNO, DIEGO, fill
from domain.demo.stage import OutOfTime, Stage
from domain.demo.summary import MEBIBYTE, figures
from domain.standins.faults import FOR_EVER

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.processes import Remote
    from domain.standins.faults import Kind

_NETWORKS = 4
_ONE_IN = 12
"""So many posts for each fault."""
_KINDS: tuple[Kind, ...] = ("drop", "drop", "rate_limit", "slow")
_CALM = (20, 180)
"""Posts that come through between two kills, so that no job is likely to be there each time; a killed worker takes
seconds to be replaced."""
_AT_ONCE = 8
"""Posts that are published at once; the configuration has three, and a kill is to hit more."""
_BROKEN = 5
_LOOK_EVERY = 0.1


@dataclass(slots=True)
class Weather:
    """What goes wrong, as posts come through."""

    stage: Stage
    posts: int
    chance: random.Random
    faults: int = 0
    kills: int = 0
    _next_kill: int = 5
    """At how many posts."""

    def blow(self, published: int) -> None:
        """Let go wrong what is due by now."""
        due = min(self.posts, published + _ONE_IN) // _ONE_IN - self.faults
        calls = self._calls() if due > 0 else []
        for part, path in self.chance.sample(calls, min(due, len(calls))):
            self.stage.spoil(part, self.chance.choice(_KINDS), path=path, seconds=1.0)
            self.faults += 1
        if published >= self._next_kill and (busy := self._busy()):
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(busy), signal.SIGKILL)
                self.kills += 1
                self._next_kill = published + self.chance.randint(*_CALM)

    def _calls(self) -> list[tuple[Remote, str]]:
        """Name the calls that make a post, where no fault waits for its call and no post has lost two answers already.

        Its job would be a dead letter with a third, and rightly so: it has three attempts.
        Posts on the server that is broken on purpose spare nobody: none of these faults is its own.
        """
        found = self.stage.facts.rows(
            """SELECT a.provider FROM smm.publish_attempts c
                 JOIN smm.scheduled_posts s ON s.id = c.scheduled_post_id
                 JOIN smm.social_accounts a ON a.id = s.social_account_id
                WHERE c.outcome = 'unknown' AND s.status NOT IN ('published', 'unconfirmed')
                  AND a.base_url IS DISTINCT FROM %s
                GROUP BY a.provider, s.id HAVING count(*) > 1""",
            self.stage.outside.second.url,
        )
        near, out = {row["provider"] for row in found}, self.stage.outside
        calls = {
            "mastodon": (out.mastodon, ""),
            "bluesky": (out.bluesky, "putRecord"),
            "instagram": (out.instagram, "media_publish"),
            "linkedin": (out.linkedin, "/rest/posts"),
        }
        return [call for name, call in calls.items() if name not in near and not call[0].tell("waiting")["calls"]]

    def _busy(self) -> list[int]:
        """Find the processes that are publishing right now, none of it for the third time.

        A job that has lost three workers is a dead letter: it is taken for what ended them.
        """
        found = self.stage.facts.rows(
            """SELECT w.pid FROM pgqueue.all_jobs j JOIN pgqueue.workers w ON w.id = j.worker_id
                WHERE j.state = 'running' AND j.kind = 'ProcessScheduledPostJob'
                GROUP BY w.pid HAVING max(j.crashes) < 2 ORDER BY 1"""
        )
        return [row["pid"] for row in found]


def main(
    *,
    posts: Annotated[int, typer.Option(min=_NETWORKS, help="How many posts, over all networks.")] = 2_000,
    minutes: Annotated[float, typer.Option(min=1, max=60, help="Give up after so long.")] = 10,
    seed: Annotated[int, typer.Option(help="Decides what goes wrong.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
) -> None:
    """Publish through a storm. Exit code 0: every promise was kept."""
    screen = Screen(quiet=json, color="NO_COLOR" not in os.environ)
    with ExitStack() as stack:
        demo = Demo(stack, screen)
        try:
            weather, dead = asyncio.run(_storm(demo, posts, minutes * 60, random.Random(seed)))  # noqa: S311 - it guards nothing
        except OutOfTime as error:
            demo.explain()
            sys.stderr.write(f"{error}\n")
            raise SystemExit(1) from error
        checks = [*check(demo.facts), _complete(demo.facts, posts), dead]
        ok = all(one.ok for one in checks)
        result: dict[str, Any] = {
            "ok": ok,
            "seconds": round(time.monotonic() - demo.started, 1),
            "posts_asked_for": posts,
            "seed": seed,
            "faults": weather.faults,
            "kills": weather.kills,
            "memory_peak_mib": round(demo.memory.peak / MEBIBYTE),
            "checks": [one._asdict() for one in checks],
        }
        _tell(screen, result | figures(demo.facts), checks, json=json)
        if not ok:
            demo.explain()
    raise SystemExit(not ok)


async def _storm(demo: Demo, posts: int, seconds: float, chance: random.Random) -> tuple[Weather, Check]:
    async with open_application() as app:
        tenants = await fill(app, demo.outside)
        stage = Stage(app, tenants, demo.outside, demo.facts, demo.screen, demo.url)
        weather = Weather(stage, posts, chance)
        stage.age("UPDATE smm.organizations SET plan = 'business'")  # as many posts as it likes
        await stage.until("the workers", lambda: demo.facts.rows("SELECT FROM pgqueue.workers"))
        await stage.operate("queues", "scale", "publishing", str(_AT_ONCE), "--by", "the storm")
        picture = await photo(stage, "foto.jpg")
        stage.spoil(demo.outside.second, "garbage", calls=FOR_EVER)
        for number in range(_BROKEN):
            await stage.post(tenants.cafe, DIEGO, f"Broken on purpose {number}", ("cafe_central",))
        stage.say(f"{posts} posts on {_NETWORKS} networks, and {_BROKEN} on a server that is broken on purpose")
        writing = asyncio.create_task(_write(stage, posts, picture))
        await _sit_out(weather, seconds)
        await writing
        dead = _broken_alone(demo.facts)
        demo.outside.second.tell("clear")
        await stage.operate("dead", "requeue", "--kind", "ProcessScheduledPostJob", "--by", "the storm")
        await stage.until("the end", lambda: demo.facts.posts().get("published") == posts + _BROKEN)
        return weather, dead


async def _write(stage: Stage, posts: int, picture: Any) -> None:
    """Schedule the posts, a part of them on each network."""
    bakery = stage.tenants.bakery
    everywhere = ("aurora", "aurora.bsky", "aurora.instagram")
    for number in range(-(-posts // _NETWORKS)):
        left = posts - number * _NETWORKS
        text = f"Receita número {number + 1}"
        await stage.post(bakery, BRUNO, text, everywhere[: min(left, len(everywhere))], media=[picture])
        if left >= _NETWORKS:
            await stage.post(bakery, BRUNO, text, ("aurora.linkedin",))


async def _sit_out(weather: Weather, seconds: float) -> None:
    """Let the weather rage until every post has come through. Raises `OutOfTime`."""
    facts, posts, ends = weather.stage.facts, weather.posts, time.monotonic() + seconds
    while (counts := facts.posts()).get("published", 0) < posts or not _all_buried(facts):
        if time.monotonic() > ends:
            raise OutOfTime(f"{posts} posts were not published in {seconds:.0f} s: {counts}")
        if counts.get("published", 0) < posts:
            weather.blow(counts.get("published", 0))
        weather.stage.screen.progress(counts, facts.jobs())
        await asyncio.sleep(_LOOK_EVERY)


def _all_buried(facts: Facts) -> bool:
    return facts.number("SELECT count(*) FROM pgqueue.dead_jobs") >= _BROKEN


def _broken_alone(facts: Facts) -> Check:
    """Look whose jobs are dead."""
    rows = facts.rows(
        """SELECT a.base_url, count(*) AS n FROM pgqueue.dead_jobs d
           LEFT JOIN smm.scheduled_posts s ON s.id::text = d.args ->> 'scheduled_post_id'
           LEFT JOIN smm.social_accounts a ON a.id = s.social_account_id GROUP BY 1"""
    )
    ok = [(row["base_url"], row["n"]) for row in rows] == [(facts.outside.second.url, _BROKEN)]
    dead = sum(row["n"] for row in rows)
    return Check("dead letters: only what is broken on purpose", ok, f"{dead} dead, {_BROKEN} broken on purpose")


def _complete(facts: Facts, posts: int) -> Check:
    there = len(facts.on_networks())
    return Check("every post is there", there == posts + _BROKEN, f"{there} of {posts} + {_BROKEN}")


def _tell(screen: Screen, result: dict[str, Any], checks: list[Check], *, json: bool) -> None:
    if json:
        sys.stdout.write(jsonlib.dumps(result, indent=2, ensure_ascii=False) + "\n")
    for one in checks:
        screen.verdict(one.name, one.detail, ok=one.ok)
    calls = " · ".join(f"{number} {outcome}" for outcome, number in result["publish_attempts"].items())
    screen.show(f"{result['faults']} faults, {result['kills']} kills; calls to networks: {calls}")
    verdict = "every promise was kept" if result["ok"] else "NOT every promise was kept"
    style = "bold green" if result["ok"] else "bold red"
    screen.say(f"{verdict}; {result['seconds']:.0f} s, at most {result['memory_peak_mib']} MiB of memory", style=style)


if __name__ == "__main__":
    typer.run(main)
