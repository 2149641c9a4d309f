"""The eleven scenes: each plays something that goes wrong, and says how to see whether it was made good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.demo.scenes import (
    expired,
    forgotten,
    happy,
    killed,
    limited,
    lost,
    paying,
    poison,
    refused,
    reset,
    webhooks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.demo.scene import Scene

SCENES: Sequence[Scene] = (
    happy.SCENE,
    lost.SCENE,
    killed.SCENE,
    limited.SCENE,
    expired.SCENE,
    refused.SCENE,
    webhooks.SCENE,
    paying.SCENE,
    poison.SCENE,
    reset.SCENE,
    forgotten.SCENE,
)
