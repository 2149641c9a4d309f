"""The App that workers and commands name: which jobs exist and when they recur. Nothing is opened at import.

pgqueue work --queues publishing,notifications,default --app domain.app:app

The use cases are named and not imported: a command that looks at the queue needs none of them, a worker imports them
when it starts.
"""

from __future__ import annotations

from typing import Final

from domain.jobs import JOBS
from domain.schedules import SCHEDULES
from domain.settings import settings
from pgqueue import App, AsyncQueue

_SETTINGS: Final = settings()
app: Final = App(
    queue=AsyncQueue(_SETTINGS),
    jobs=JOBS,
    schedules=SCHEDULES,
    handle="domain.composition:open_application",
    settings=_SETTINGS,
    idempotency_required=True,
)
