"""The producer's process: does what the harness asks for, one line of JSON at a time, until its input ends.

`python -m benchmarks.driver module`, with the interpreter of that queue's environment.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.peer import payloads

if TYPE_CHECKING:
    from benchmarks.peer import Peer


async def serve(peer: Peer) -> None:
    """Answer."""
    for line in sys.stdin:
        name, argument = json.loads(line)
        sys.stdout.write(json.dumps(await _answer(peer, name, argument)) + "\n")
        sys.stdout.flush()


async def _answer(peer: Peer, name: str, argument: int) -> Any:
    match name:
        case "describe":
            return {
                "worker": [peer.interpreter(), *peer.worker()],
                "settings": peer.settings(),
                "runners": peer.runners(),
            }
        case "enqueue" | "enqueue_each":
            jobs = payloads(argument)
            began = time.monotonic()
            await getattr(peer, name)(jobs)
            return time.monotonic() - began
        case "ping":
            began = time.monotonic()
            await peer.ping(argument)
            return began
        case "prepare" | "make_ready" | "remaining":
            return await getattr(peer, name)()
    raise ValueError(name)


if __name__ == "__main__":
    asyncio.run(serve(importlib.import_module(f"benchmarks.peers.{sys.argv[1]}").Measured()))
