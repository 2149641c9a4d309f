"""`python -m tests.domain.cheating`: the demo with a scene in which somebody posts the same once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import typer

from domain.demo import scenes
from domain.demo.__main__ import main
from domain.demo.scene import Scene
from domain.demo.seed import BRUNO, SECRETS

if TYPE_CHECKING:
    from domain.demo.stage import Stage

_TEXT = "Bolo de cenoura"


async def _play(stage: Stage) -> None:
    await stage.post(stage.tenants.bakery, BRUNO, _TEXT, ("aurora",))
    await stage.at_rest(_TEXT)
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {SECRETS[0]}"}) as http:
        url = f"{stage.outside.mastodon.url}/api/v1/statuses"
        (await http.post(url, json={"status": _TEXT})).raise_for_status()


if __name__ == "__main__":
    scenes.SCENES = (*scenes.SCENES, Scene(12, "Cheating", _play, lambda _: []))
    typer.run(main)
