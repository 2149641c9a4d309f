"""Scene 6: a network refuses a text for good, and a file is infected. Neither is anybody's bug."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import ANA, BRUNO
from domain.standins.clamd import EICAR
from domain.use_cases.media.uploading import InvalidUpload

if TYPE_CHECKING:
    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

LONG = "Receita do dia: bolo de fubá com goiabada, e o segredo está em peneirar o fubá três vezes"
INFECTED = "Foto da nossa equipe"
_FILE = "equipe.jpg"
_SHORT, _USUAL = 60, 500


async def play(stage: Stage) -> None:
    """Let the server lower its limit behind our back; then upload a virus."""
    bakery, mastodon = stage.tenants.bakery, stage.outside.mastodon
    mastodon.tell("limit", characters=_SHORT)
    stage.say(f"the server takes {_SHORT} characters from now on and told nobody; the post has {len(LONG)}")
    await stage.post(bakery, BRUNO, LONG, ("aurora",))
    await stage.at_rest(LONG)
    mastodon.tell("limit", characters=_USUAL)
    content = b"\xff\xd8\xff\xe0" + EICAR
    media_id = await stage.upload(bakery, ANA, _FILE, content)
    stage.say("a file with a virus was uploaded, and is to be posted")
    await stage.post(bakery, BRUNO, INFECTED, ("aurora",), media=[media_id])
    await stage.at_rest(INFECTED)
    try:
        await stage.upload(bakery, ANA, _FILE, content)
    except InvalidUpload as error:
        stage.say(f"uploaded once more: {error}")


def check(facts: Facts) -> list[Check]:
    """Failed is not dead: the user is told, and nobody is paged."""
    [post], [mailed] = facts.published(LONG), [len(facts.mailed(BRUNO, LONG))]
    buried = facts.number(
        "SELECT count(*) FROM pgqueue.dead_jobs WHERE id = ANY (%s)",
        [row["job_id"] for text in (LONG, INFECTED) for row in facts.published(text)],
    )
    return [
        Check(
            "refused text: failed, told, not a dead letter",
            (post["status"], post["job_state"], mailed, buried) == ("failed", "discarded", 1, 0)
            and not facts.times(LONG),
            f"{post['failure_code']}, job {post['job_state']}, {mailed} mail, {buried} dead letters",
        ),
        _infected(facts),
    ]


def _infected(facts: Facts) -> Check:
    rows = facts.rows("SELECT scan_status, scan_detail, storage_key FROM smm.media WHERE filename = %s", _FILE)
    [post] = facts.published(INFECTED)
    found = sum("FOUND" in answer for answer in facts.outside.clamd.state()["answers"])
    away = [row for row in rows if row["storage_key"].startswith("quarantine/")]
    kept = sum(EICAR in (facts.objects / row["storage_key"]).read_bytes() for row in away)
    ok = len(rows) == len(away) == kept == found == 1 and rows[0]["scan_status"] == "infected"
    detail = f"{rows[0]['scan_detail']}; {kept} file in quarantine, {len(rows)} row; the post: {post['failure_code']}"
    never = (post["status"], post["failure_code"]) == ("failed", "media_refused") and not facts.times(INFECTED)
    return Check("infected file: in quarantine, never published", ok and never, detail)


SCENE = Scene(6, "Refused text, infected file", play, check)
