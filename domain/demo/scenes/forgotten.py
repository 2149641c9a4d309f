"""Scene 11: somebody wants to be forgotten, thirty days pass; and a report is saved."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import ANA, BRUNO

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

REPORT = Path(".pgqueue", "demo-report.pdf")
_MOST = 64 << 20


async def play(stage: Stage) -> None:
    """Ask for the report, then for the deletion, and move thirty days."""
    await _report(stage)
    bakery = stage.tenants.bakery
    user_id = bakery.people[BRUNO]
    before = _user(stage.facts, str(user_id))
    deletion_id = await stage.app.identity.request_account_deletion(bakery.context(BRUNO))
    stage.say("thirty days pass (by moving the times of the request and of its job back)")
    stage.age("UPDATE smm.users SET deletion_due_at = now() WHERE id = %s", user_id)
    stage.age(
        """UPDATE smm.account_deletions SET requested_at = requested_at - interval '30 days', due_at = now()
           WHERE id = %s""",
        deletion_id,
    )
    await stage.until("the job in the queue", lambda: _hurry(stage, str(deletion_id)))
    await stage.until("the end of the account", lambda: _user(stage.facts, str(user_id))["status"] == "anonymized")
    await stage.at_rest()
    after = _user(stage.facts, str(user_id))
    for name, value in before.items():
        stage.screen.show(f"  {name:14} {value!s:28} → {after[name]}")


def _hurry(stage: Stage, deletion_id: str) -> int:
    return stage.age(
        """UPDATE pgqueue.jobs SET run_at = pgqueue.clock()
           WHERE kind = 'ProcessAccountDeletionJob' AND args ->> 'deletion_id' = %s AND run_at IS NOT NULL""",
        deletion_id,
    )


async def _report(stage: Stage) -> None:
    today = datetime.now(UTC).date()
    report_id = await stage.app.integration.request_report(
        stage.tenants.bakery.context(ANA),
        "engagement",
        file_format="pdf",
        period_start=today - timedelta(days=1),
        period_end=today + timedelta(days=1),
    )

    def is_ready() -> list[dict[str, Any]]:
        return stage.facts.rows("SELECT storage_key FROM smm.reports WHERE id = %s AND status = 'ready'", report_id)

    [row] = await stage.until("the report", is_ready)
    content = await stage.app.storage.load(row["storage_key"], at_most=_MOST)
    await asyncio.to_thread(_save, content)
    stage.say(f"the report is saved: {REPORT}")


def _save(content: bytes) -> None:
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(content)


def _user(facts: Facts, user_id: str) -> dict[str, Any]:
    [row] = facts.rows(
        "SELECT email, name, status, password_hash, session_epoch, anonymized_at FROM smm.users WHERE id = %s", user_id
    )
    return row


def check(facts: Facts) -> list[Check]:
    """The address is nowhere, the grant is given back, the last mail came; the report is what its row says."""
    [row] = facts.rows(
        "SELECT d.status, d.evidence, u.email, u.name FROM smm.account_deletions d JOIN smm.users u ON u.id = d.user_id"
    )
    named = [table for table in facts.tables() if facts.mentions(table, BRUNO)]
    revoked = facts.outside.mastodon.state()["revoked"]
    mails = len(facts.mailed(BRUNO, "apagada"))
    return [
        Check(
            "deleted account: forgotten everywhere",
            row["status"] == "done" and not named and row["name"] == "",
            f"{row['email']}; {len(named)} tables hold the address",
        ),
        Check(
            "deleted account: grant given back, last mail sent",
            "bruno" in revoked and mails == 1,
            f"revoked at the network: {', '.join(revoked)}; {mails} mail",
        ),
        _saved(facts),
    ]


def _saved(facts: Facts) -> Check:
    [row] = facts.rows("SELECT storage_key, byte_size, sha256, row_count FROM smm.reports WHERE format = 'pdf'")
    content = (facts.objects / row["storage_key"]).read_bytes()
    ok = content.startswith(b"%PDF") and hashlib.sha256(content).digest() == bytes(row["sha256"])
    detail = f"{row['byte_size']} bytes, {row['row_count']} rows; a copy in {REPORT}"
    return Check("the report is a PDF and what its row says", ok and REPORT.read_bytes() == content, detail)


SCENE = Scene(11, "Account deletion after 30 days, PDF report", play, check)
