"""Circuit breakers that all processes share: after some failures in a row nothing is called for a while.

    breakers = Breakers(settings, exclude=[Rejected])

    with breakers.calling("mastodon", "mastodon.social"):
        response = await http.post(…)

pybreaker decides what counts, what opens and what closes; the state stands in PostgreSQL, judged by its clock. A call
on a closed breaker costs no statement; a failure one, a change of state another. If the database is away, each process
goes on with what it knows.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid4

import pybreaker
import structlog

from pgqueue.breakers.side import SideConnection
from pgqueue.breakers.state import CLOSED, HALF_OPEN, OPEN, CallStorage, View
from pgqueue.context import ambient
from pgqueue.duration import Duration, duration
from pgqueue.embedded import embedded_url, is_embedded
from pgqueue.errors import CircuitOpen, ConfigurationError, DatabaseUnavailable
from pgqueue.failure import describe
from pgqueue.queries.breakers import BreakerQueries
from pgqueue.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from pgqueue.db import Query
    from pgqueue.queries.breakers import Unwell

T = TypeVar("T")
_FRESH = 1.0  # seconds for which what was read is believed
_AGAIN = timedelta(seconds=5)  # how long to stay away while another call probes, at most
_FOREVER = timedelta(seconds=60)  # how long to stay away from what a person opened without an end
_LONGEST_ERROR = 500


class Breaker:
    """The breaker of one dependency and host."""

    def __init__(self, owner: Breakers, name: tuple[str, str]) -> None:
        """Made by `Breakers.of`."""
        self.name = name
        self.view = View()
        self._owner = owner

    @property
    def state(self) -> str:
        """What this process knows: "closed", "open" or "half_open"."""
        self._owner.refresh()
        return self.view.state

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Make one call inside this block (also around an ``await``); raises `CircuitOpen` when the circuit is open."""
        probe = self._admit()
        try:
            yield
        except BaseException as error:
            if _is_an_answer(error):
                self._tell(probe, error)
            elif probe is not None:
                self._end_probe(probe, timedelta(), good=False)  # nothing was learnt: the next call probes
            raise
        if probe is not None or self.view.failures:
            self._tell(probe, None)

    def _admit(self) -> UUID | None:
        """Let a call through: None on a closed circuit, or the name of the probe that it is."""
        self._owner.refresh()
        view = self.view
        if view.state == CLOSED:
            return None
        now = time.monotonic()
        if view.until is None or now < view.until:
            raise self._open(_FOREVER if view.until is None else timedelta(seconds=view.until - now))
        probe, lasts = uuid4(), self._owner.probe_lasts
        query = self._owner.queries.take_probe(self.name, probe, lasts)
        mine = self._owner.shared(query, lambda: view.take_probe(now, lasts))
        # whoever was refused asks again soon: the circuit may be closed by then
        view.put(HALF_OPEN, view.failures, now + (lasts.total_seconds() if mine else _FRESH))
        if not mine:
            raise self._open(_AGAIN)
        return probe

    def _open(self, wait: timedelta) -> CircuitOpen:
        if self.view.state == HALF_OPEN:
            wait = min(wait, _AGAIN, self._owner.reset_timeout)  # a probe ends in moments, or its time runs out
        where = " at ".join(filter(None, self.name))
        return CircuitOpen(f"{where} fails: nothing was sent, the circuit is open", retry_in=wait, breaker=self.name)

    def _tell(self, probe: UUID | None, error: BaseException | None) -> None:
        """Have pybreaker judge the call; what it decides goes through `CallStorage` to all processes."""
        storage = CallStorage(HALF_OPEN if probe else CLOSED, self._count, self._clear, self._changed(probe, error))
        storage.error = error
        machine = self._owner.machine(storage)
        trace = error.__traceback__ if error else None
        try:
            machine.call(_repeat, error)
        except BaseException as same:
            if same is not error:
                raise
            error.__traceback__ = trace  # the steps of this judgement are none of the call's

    def _count(self, error: BaseException | None) -> int:
        text = f"{type(error).__name__}: {describe(error).error}" if error else ""
        query = self._owner.queries.count_failure(self.name, text[:_LONGEST_ERROR])
        self.view.failures += 1
        self.view.failures = self._owner.shared(query, lambda: self.view.failures)
        return self.view.failures

    def _clear(self) -> None:
        if not self.view.failures:
            return  # an excluded error, on a breaker that is well
        self.view.failures = 0
        self._owner.shared(self._owner.queries.clear_failures(self.name), lambda: True)

    def _changed(self, probe: UUID | None, error: BaseException | None) -> Callable[[str], None]:
        """Return what pybreaker's decision does: open or close for everybody."""

        def change(state: str) -> None:
            reset = self._owner.reset_timeout
            if probe is not None:
                if self._end_probe(probe, reset, good=state == CLOSED) and state == CLOSED:
                    self._owner.log.info("breaker.closed", **self._fields())
            elif state == OPEN:
                mine = self._owner.shared(self._owner.queries.trip(self.name, reset), lambda: self.view.state == CLOSED)
                failures = self.view.failures
                self.view.put(OPEN, failures, time.monotonic() + reset.total_seconds())
                if mine:
                    told = {
                        "failures": failures,
                        "error": type(error).__name__,
                        "resetInSeconds": reset.total_seconds(),
                    }
                    self._owner.log.warning("breaker.opened", **self._fields(), **told)

        return change

    def _end_probe(self, probe: UUID, reset: timedelta, *, good: bool) -> bool:
        query = self._owner.queries.end_probe(self.name, probe, reset, good=good)
        mine = self._owner.shared(query, lambda: True)
        until = time.monotonic() + reset.total_seconds()
        self.view.put(CLOSED if good else OPEN, 0 if good else self.view.failures, until)
        return mine

    def _fields(self) -> dict[str, str]:
        return {"dependency": self.name[0], "host": self.name[1]}


class Breakers:
    """The breakers of an application, made on first use: one for each dependency and host."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        fail_max: int = 5,
        reset_timeout: Duration = "30s",
        probe_timeout: Duration = "60s",
        exclude: Sequence[type[BaseException] | Callable[[BaseException], bool]] = (),
    ) -> None:
        """Open nothing.

        Args:
            settings: whose database the state is in; default: those of the environment.
            fail_max: failures in a row, over all processes, that open a circuit.
            reset_timeout: how long it stays open before one call may probe.
            probe_timeout: after this a probe that nobody ended counts as lost: longer than any call may take.
            exclude: errors that prove that the other side works (it refused, it limits): classes, or functions that
                look at the error.

        """
        self.settings = settings or Settings()
        self.reset_timeout = duration(reset_timeout, what="reset_timeout")
        self.probe_lasts = duration(probe_timeout, what="probe_timeout")
        if fail_max < 1 or not self.reset_timeout or not self.probe_lasts:
            raise ConfigurationError(
                f"fail_max is {fail_max}, reset_timeout {reset_timeout!r}, probe_timeout {probe_timeout!r}; "
                "fail_max must be at least 1, and the times longer than nothing"
            )
        self.queries = BreakerQueries(self.settings.schema_name)
        self.log: Any = structlog.get_logger("pgqueue")
        self._fail_max = fail_max
        self._exclude = list(exclude)
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._side = SideConnection(self._url, name="pgqueue breakers")
        self._refresh_at = 0.0
        self._shared = True

    def of(self, dependency: str, host: str = "") -> Breaker:
        """Return the breaker of a dependency, and of one of its hosts if it has several."""
        name = (dependency, host)
        found = self._breakers.get(name)
        if found is None:
            if not 1 <= len(dependency) <= 200 or len(host) > 300 or "\x00" in dependency + host:  # noqa: PLR2004 - as the table says
                raise ConfigurationError(f"breaker {name!r}: a dependency has 1 to 200 characters, a host up to 300")
            found = self._breakers.setdefault(name, Breaker(self, name))
        return found

    @contextmanager
    def calling(self, dependency: str, host: str = "") -> Iterator[None]:
        """Make one call inside this block; see `Breaker.calling`."""
        with self.of(dependency, host).calling():
            yield

    def close(self) -> None:
        """End the thread and its connection now; they go after a while by themselves, and come again when needed."""
        self._side.close()

    # ── for its breakers ─────────────────────────────────────────────────────────────────────────────────────

    def machine(self, storage: CallStorage) -> pybreaker.CircuitBreaker:
        """Make pybreaker's machine for one call. One for each call: a shared one holds a lock while it is judged."""
        return pybreaker.CircuitBreaker(
            fail_max=self._fail_max,
            exclude=self._exclude,
            state_storage=storage,
            throw_new_error_on_trip=False,  # else the failure that opens the circuit would hide what failed
        )

    def refresh(self) -> None:
        """Have what is unwell read again, if that is old; nobody waits for it."""
        now = time.monotonic()
        if now < self._refresh_at:
            return
        self._refresh_at = now + _FRESH
        try:
            self._side.send(self.queries.unwell()).add_done_callback(self._read)
        except DatabaseUnavailable as error:
            self._tell_unshared(error)

    def shared(self, query: Query[T], alone: Callable[[], T]) -> T:
        """Ask the database; if it is away, ``alone`` says what this process decides by itself."""
        try:
            answer = self._side.ask(query)
        except DatabaseUnavailable as error:
            self._tell_unshared(error)
            return alone()
        self._shared = True
        return answer

    def _read(self, answer: Future[list[Unwell]]) -> None:
        """Take over what was read (called by the side connection's thread, in the order of its statements)."""
        if answer.exception() is not None:
            self._tell_unshared(answer.exception())
            return
        self._shared = True
        now = time.monotonic()
        unwell = {(one.dependency, one.host): one for one in answer.result()}
        for name, breaker in list(self._breakers.items()):
            one = unwell.get(name)
            if one is None:
                breaker.view.put(CLOSED, 0, now)
            else:
                breaker.view.put(one.state, one.failures, None if one.left is None else now + one.left)

    def _tell_unshared(self, error: BaseException | None) -> None:
        if self._shared:
            self._shared = False
            self.log.warning("breaker.unshared", error=str(error))

    def _url(self) -> str | None:
        url = self.settings.database_url
        return embedded_url(url) if url and is_embedded(url) else url


def _repeat(error: BaseException | None) -> None:
    """Repeat what the call did, for pybreaker to see."""
    if error is not None:
        raise error


def _is_an_answer(error: BaseException) -> bool:
    """Tell whether an error says something about the dependency.

    A cancelled call does not, unless it was cancelled because it used up its job's time.
    """
    if isinstance(error, Exception):
        return True
    left = getattr(ambient.get(), "seconds_left", None)
    return isinstance(error, asyncio.CancelledError) and left is not None and left <= 0
