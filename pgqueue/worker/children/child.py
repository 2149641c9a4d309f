"""A child process: opens the handle once, then runs one job after the other and answers what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pgqueue import outcome as fate
from pgqueue.app import load_app
from pgqueue.failure import describe
from pgqueue.logs import configure
from pgqueue.outcome import Claimed
from pgqueue.payload import encode
from pgqueue.queries.lifecycle import Lifecycle
from pgqueue.secret import learn
from pgqueue.telemetry import Telemetry
from pgqueue.worker.children.channel import Answer, Channel
from pgqueue.worker.children.limits import held_bytes, limited
from pgqueue.worker.engines import Engines
from pgqueue.worker.lifeline import die_with
from pgqueue.worker.runner import Runner
from pgqueue.worker.start import open_handle

if TYPE_CHECKING:
    from pgqueue.app import App
    from pgqueue.job import Job
    from pgqueue.outcome import Settlement
    from pgqueue.settings import Settings
    from pgqueue.telemetry import Samples

MODULE = "pgqueue.worker.children.child"
_FIRST_VICTIM = "500"  # when memory runs out, the kernel ends a child before the worker


class Boot(NamedTuple):
    """What a child needs to know of its worker."""

    url: str
    settings: Settings


def serve(fd: int, app: App, parent: int) -> int:
    """Run jobs until the channel is closed; returns the exit code."""
    die_with(parent, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_VICTIM, "ascii")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)
    return asyncio.run(_serve(socket.socket(fileno=fd), app))


async def _serve(sock: socket.socket, app: App) -> int:
    channel = await Channel.over(sock)
    message = await channel.read()
    if message is None:
        return 0
    boot: Boot = pickle.loads(bytes.fromhex(message["boot"]))  # noqa: S301 - our own worker wrote it
    app.settings = boot.settings
    learn(boot.settings.secrets)
    logs = configure(boot.settings.log_level)
    try:
        async with AsyncExitStack() as stack:
            engines = Engines(boot.url, 1, app.engine, app.async_engine)
            stack.push_async_callback(engines.close)
            try:
                handle = await open_handle(app.load_handle(), stack)
            except BaseException as error:  # noqa: BLE001 - told to the worker, whatever it is
                channel.send({"failed": f"{type(error).__name__}: {describe(error).error}"})
                await channel.flush()
                return 1
            await Child(channel, app, engines, handle).work()
    finally:
        logs.close()
    return 0


class Recorder:
    """Keeps what the runner tells of a run: the worker tells it on."""

    def __init__(self) -> None:
        """Nothing was told."""
        self.settlement: Settlement | None = None
        self.seconds = 0.0
        self.lost = False

    def started(self, job: Claimed) -> None:
        """Begin anew."""
        del job

    def settled(self, job: Claimed, settlement: Settlement, seconds: float) -> None:
        """Keep it."""
        del job
        self.settlement, self.seconds = settlement, seconds

    def lease_lost(self, job: Claimed) -> None:
        """Keep it."""
        del job
        self.lost = True

    def crashed(self, job: Claimed) -> None:
        """Nothing: a child that crashed tells nobody."""

    def rescued(self, job_id: int, queue: str, kind: str, crashes: int) -> None:
        """Nothing: children rescue nobody."""

    def missed(self, schedule: str, ticks: int) -> None:
        """Nothing: children fire nothing."""

    def sampled(self, samples: Samples | None) -> None:
        """Nothing: children sample nothing."""


class Child:
    """Runs what the worker sends."""

    def __init__(self, channel: Channel, app: App, engines: Engines, handle: object) -> None:
        """Ready for the first job."""
        self._channel = channel
        self._settings = app.settings
        self._telemetry = Telemetry([])
        self._runner = Runner(app, app.settings, engines, Lifecycle(app.settings.schema_name), self._telemetry)
        self._runner.handle = handle
        self._jobs: asyncio.Queue[Claimed | None] = asyncio.Queue()
        self._stopped = False
        self._ran = 0

    async def work(self) -> None:
        """Run until told to go, or until enough was run."""
        await self._runner.threads.warm()  # its stack is not to count against the memory of the first job
        listening = asyncio.create_task(self._listen())
        self._channel.send({"ready": True})
        last = False
        while not last and (claimed := await self._jobs.get()) is not None:
            self._channel.send({"began": claimed.id})
            await self._channel.flush()
            answer = await self._run(claimed)
            last = answer.last
            self._channel.send(answer.pack())
            await self._channel.flush()
        listening.cancel()
        self._runner.close()

    async def _listen(self) -> None:
        while (message := await self._channel.read()) is not None:
            if "run" in message:
                self._jobs.put_nowait(Claimed(*message["run"]))
            for running in list(self._runner.running.values()):
                if "stop" in message:
                    self._stopped = True
                    running.stop(message["stop"])
        if self._runner.running:
            os._exit(1)  # nobody is left who could settle this job
        self._jobs.put_nowait(None)

    async def _run(self, claimed: Claimed) -> Answer:
        told = Recorder()
        self._telemetry.subscribers = [told]
        kind = self._runner.kinds[claimed.kind]
        follower = None
        with limited(kind.policy):
            settlement, job = await self._runner.run(claimed)
        if job is not None:
            try:
                follower = job.kind, self._encoded(job)
            except Exception as error:  # noqa: BLE001 - what cannot be enqueued is the job's fault
                settlement = fate.decide(claimed, kind.policy, error, scale=self._settings.time_scale)
                told.settlement = settlement
        if self._stopped:
            await self._runner.threads.ended()  # the worker's patience is short, and then it kills
        self._ran += 1
        return Answer(told.settlement, settlement is not None, told.lost, told.seconds, follower, self._is_last(told))

    def _encoded(self, job: Job) -> str:
        fields = job.model_dump(mode="python", round_trip=True)
        most, secrets = self._settings.max_payload_bytes, self._settings.secrets
        return encode(job.kind, fields, safe=job.policy.safe, most_bytes=most, secrets=secrets)

    def _is_last(self, told: Recorder) -> bool:
        failure = told.settlement.failure if told.settlement else None
        out_of_memory = failure is not None and failure.type == "MemoryError"
        full = held_bytes() > self._settings.child_memory
        return self._stopped or out_of_memory or full or self._ran >= self._settings.child_jobs


def _ignore(_number: int, _frame: Any) -> None:
    """Do nothing: whoever signals a whole group means the worker, which says when to go."""


if __name__ == "__main__":
    code = serve(int(sys.argv[1]), load_app(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread that a job has left must not keep it
