"""Scene 1: a photo goes up, is scanned and made small, and a post with it appears on three networks at once."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from PIL import Image

from domain.demo.checks import Check
from domain.demo.scene import Scene
from domain.demo.seed import ANA, BRUNO

if TYPE_CHECKING:
    from uuid import UUID

    from domain.demo.facts import Facts
    from domain.demo.stage import Stage

TEXT = "Pão de fermentação natural saindo do forno às 7h #padaria"
NETWORKS = {"mastodon": 1, "bluesky": 1, "instagram": 1}
_PHOTO = "pão.jpg"
_LEAD = timedelta(seconds=1)
_AT_ONCE = 5.0


async def play(stage: Stage) -> None:
    """Upload, wait for the small picture, schedule."""
    media_id = await photo(stage, _PHOTO)
    stage.say("the photo is scanned and made small; now the post, for one moment on three networks")
    handles = ("aurora", "aurora.bsky", "aurora.instagram")
    when = datetime.now(UTC) + _LEAD
    await stage.post(stage.tenants.bakery, BRUNO, TEXT, handles, media=[media_id], when=when)
    await stage.at_rest(TEXT)


async def photo(stage: Stage, filename: str) -> UUID:
    """Upload a picture and wait until it may be used and has its small one."""
    content = io.BytesIO()
    Image.radial_gradient("L").resize((1600, 1200)).convert("RGB").save(content, "JPEG", quality=90)
    media_id = await stage.upload(stage.tenants.bakery, ANA, filename, content.getvalue())

    def is_ready() -> list[dict[str, Any]]:
        return stage.facts.rows("SELECT FROM smm.media WHERE id = %s AND thumbnail_status = 'ready'", media_id)

    await stage.until("the small picture", is_ready)
    return media_id


def check(facts: Facts) -> list[Check]:
    """Look at the file, at the networks, and at the addresses that we tell."""
    return [_file(facts), _everywhere(facts), _addresses(facts)]


def _file(facts: Facts) -> Check:
    [row] = facts.rows(
        """SELECT scan_status, scan_engine, width, height, thumbnail_key, thumbnail_width, thumbnail_height
           FROM smm.media WHERE filename = %s""",
        _PHOTO,
    )
    small = facts.objects / (row["thumbnail_key"] or "none")
    size = small.stat().st_size if small.is_file() else 0
    ok = row["scan_status"] == "clean" and "stream: OK" in facts.outside.clamd.state()["answers"] and size > 0
    detail = f"{row['scan_status']} by {row['scan_engine']}; {row['width']}x{row['height']} became "
    return Check(
        "the photo was scanned and made small",
        ok,
        f"{detail}{row['thumbnail_width']}x{row['thumbnail_height']}, {size} bytes stored",
    )


def _everywhere(facts: Facts) -> Check:
    found, rows = facts.times(TEXT), facts.published(TEXT)
    calls = [row["first_call"] for row in rows if row["first_call"] is not None]
    spread = (max(calls) - min(calls)).total_seconds() if calls else 0.0
    ok = found == NETWORKS and len({row["scheduled_at"] for row in rows}) == 1 and spread < _AT_ONCE
    listed = ", ".join(f"{name} {count}" for name, count in found.items()) or "nowhere"
    return Check("one post, three networks, the same moment", ok, f"{listed}; first calls within {spread:.2f} s")


def _addresses(facts: Facts) -> Check:
    """Open each address that lies on loopback; Bluesky's leads to its own site and has to end in the record's key."""
    good = 0
    for row in facts.published(TEXT):
        link = row["permalink"] or ""
        if link.startswith(row["base_url"]):
            good += TEXT in httpx.get(link, trust_env=False, timeout=10).text
        else:
            good += bool(link) and link.rsplit("/", 1)[-1] == row["external_id"].rsplit("/", 1)[-1]
    return Check("the addresses that we tell lead to the post", good == len(NETWORKS), f"{good} of {len(NETWORKS)}")


SCENE = Scene(1, "Happy path: one photo, three networks", play, check)
