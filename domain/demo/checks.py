"""What must be true at the end, asked of the network, the mail server and the database."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from domain.demo.seed import TOKENS

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.play import Stage


class Check(NamedTuple):
    """One promise, whether it was kept, and the figures."""

    name: str
    ok: bool
    detail: str


def check(stage: Stage) -> list[Check]:
    """Check everything."""
    return [
        *_posts(stage),
        _lost_reply(stage),
        _killed(stage),
        _rate_limited(stage),
        _rejected(stage),
        _dead(stage),
        _mails(stage),
        _no_secrets(stage.facts),
    ]


def figures(stage: Stage) -> dict[str, Any]:
    """Collect the numbers of the summary."""
    facts = stage.facts
    sent = [*stage.network.state()["statuses"], *stage.shaky.state()["statuses"]]
    attempts = facts.rows(
        "SELECT coalesce(outcome, 'open') AS outcome, count(*) AS n FROM smm.publish_attempts GROUP BY 1 ORDER BY 1"
    )
    return {
        "posts_on_the_networks": len(sent),
        "duplicates": _duplicates(sent),
        "posts": facts.posts(),
        "publish_attempts": {row["outcome"]: row["n"] for row in attempts},
        "jobs": facts.jobs(),
        "dead_letters": facts.number("SELECT count(*) FROM pgqueue.dead_jobs"),
        "dead_letters_requeued": len(stage.findings.dead),
        "notices": facts.number("SELECT count(*) FROM smm.notifications"),
        "mails": len(stage.mail.state()["messages"]),
        "wait_milliseconds": facts.waits(),
    }


def _duplicates(statuses: list[dict[str, Any]]) -> int:
    """Count the posts that are on a network more than once: by our key, and by what a reader sees."""
    by_key = Counter(status["key"] for status in statuses)
    by_text = Counter((status["acct"], status["text"]) for status in statuses)
    return max(sum(by_key.values()) - len(by_key), sum(by_text.values()) - len(by_text))


def _posts(stage: Stage) -> list[Check]:
    statuses = [*stage.network.state()["statuses"], *stage.shaky.state()["statuses"]]
    ours = {
        str(row["publish_key"])
        for row in stage.facts.rows("SELECT publish_key FROM smm.scheduled_posts WHERE status = 'published'")
    }
    theirs = {status["key"] for status in statuses}
    counts = stage.facts.posts()
    ended = counts.get("published", 0) + counts.get("failed", 0)
    doubles = _duplicates(statuses)
    return [
        Check(
            "what we call published is what the networks have",
            ours == theirs and len(ours) > 0,
            f"{len(ours)} here, {len(theirs)} there",
        ),
        Check("no post is there twice", doubles == 0, f"{doubles} duplicates among {len(statuses)} posts"),
        Check("every post has come to its end", ended == stage.total, f"{ended} of {stage.total}"),
    ]


def _times_on_network(stage: Stage, key: str) -> int:
    return sum(status["key"] == key for status in stage.network.state()["statuses"])


def _lost_reply(stage: Stage) -> Check:
    key = stage.findings.keys["drop"]
    post, there = stage.facts.post_by_key(key), _times_on_network(stage, key)
    ok = post["status"] == "published" and there == 1 and len(post["outcomes"]) > 1
    return Check("lost answer: tried again, posted once", ok, f"attempts {_listed(post)}, {there} on the network")


def _killed(stage: Stage) -> Check:
    key = stage.findings.keys["kill"]
    post, there = stage.facts.post_by_key(key), _times_on_network(stage, key)
    ok = post["status"] == "published" and there == 1 and len(post["outcomes"]) > 1
    detail = f"pid {stage.findings.killed_pid}, attempts {_listed(post)}, {there} on the network"
    return Check("worker killed in mid-publish: another one finished", ok, detail)


def _rate_limited(stage: Stage) -> Check:
    post = stage.facts.post_by_key(stage.findings.keys["rate_limit"])
    ok = post["status"] == "published" and post["outcomes"][0] == "rate_limited" and post["job_attempt"] == 1
    detail = f"calls {_listed(post)}, queue attempts spent: {post['job_attempt']}"
    return Check("rate limit: waited, no attempt spent", ok, detail)


def _rejected(stage: Stage) -> Check:
    post = stage.facts.post_by_key(stage.findings.keys["reject"])
    buried = stage.facts.number("SELECT count(*) FROM pgqueue.dead_jobs WHERE id = %s", post["job_id"])
    ok = post["status"] == "failed" and post["job_state"] == "discarded" and buried == 0
    return Check("refused post: failed, not a dead letter", ok, f"{post['failure_code']}, job {post['job_state']}")


def _dead(stage: Stage) -> Check:
    before = stage.findings.dead
    after = stage.facts.number("SELECT count(*) FROM pgqueue.dead_jobs")
    there = len(stage.shaky.state()["statuses"])
    ok = len(before) == 1 and before[0]["attempt"] == 3 and after == 0 and there == 1  # noqa: PLR2004 - the policy's attempts
    spent = before[0]["attempt"] if before else 0
    detail = f"{len(before)} after {spent} attempts, {after} after the requeue, {there} post on the second network"
    return Check("dead letter: found, requeued, done", ok, detail)


def _mails(stage: Stage) -> Check:
    messages = stage.mail.state()["messages"]
    received = Counter(message["message_id"] for message in messages)
    written = {
        row["message_id"] for row in stage.facts.rows("SELECT message_id FROM smm.email_messages WHERE status = 'sent'")
    }
    wanted = stage.facts.number("SELECT count(*) FROM smm.notifications WHERE kind <> 'publish_published'")
    ok = received.keys() == written and len(written) == wanted and wanted > 0 and received.total() == wanted
    return Check(
        "bad news went out by mail, once each", ok, f"{received.total()} received, {wanted} notices of bad news"
    )


def _no_secrets(facts: Facts) -> Check:
    found = sum(
        facts.number(
            """SELECT (SELECT count(*) FROM smm.social_accounts a WHERE strpos(a::text, %s) > 0)
                    + (SELECT count(*) FROM pgqueue.all_jobs j WHERE strpos(j::text, %s) > 0)""",
            token,
            token,
        )
        for token in TOKENS
    )
    return Check("no access token in clear in the database", found == 0, f"{found} rows hold one")


def _listed(post: dict[str, Any]) -> str:
    return " → ".join(post["outcomes"])
