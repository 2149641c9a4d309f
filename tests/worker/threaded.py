"""An application whose import starts a thread: a fork of it could deadlock."""

from __future__ import annotations

import threading

from tests.worker.children import app

threading.Thread(target=threading.Event().wait, daemon=True).start()

__all__ = ["app"]
