"""Who a job belongs to and which chain of operations it is part of: mandatory on every job.

Source: section "Contexto Obrigatório" of the job architecture document (docs/source).
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import UUID, uuid4

from pgqueue.errors import InvalidJob, MissingContext

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 64
_LONGEST_KEY = 500


@dataclass(frozen=True, slots=True)
class Context:
    """The tenant, the person and the chain of operations. ``trace_id`` is not here: it is new for each dispatch."""

    organization_id: str
    user_id: str
    correlation_id: UUID = field(default_factory=uuid4)

    @property
    def context(self) -> Context:
        """Itself: a running job's context is found the same way."""
        return self

    def __post_init__(self) -> None:
        """Refuse what the database would refuse, with a sentence."""
        for name in ("organization_id", "user_id"):
            value = getattr(self, name)
            if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST or not value.isprintable():
                raise MissingContext(
                    f"context.{name} is {value!r}; give 1 to {_LONGEST} printable characters "
                    "(a job without organization and user could neither be traced nor isolated)"
                )
        if not isinstance(self.correlation_id, UUID):
            raise InvalidJob(f"context.correlation_id is {self.correlation_id!r}; give a uuid.UUID")


class HasContext(Protocol):
    """A `Context`, or a running job that knows its own."""

    @property
    def context(self) -> Context:
        """The context."""


ambient: ContextVar[HasContext | None] = ContextVar("pgqueue_context", default=None)


def current_context() -> Context | None:
    """Return the context of this task or thread: that of the running job, or the one bound by `bind`."""
    source = ambient.get()
    return None if source is None else source.context


def chosen_context(given: object) -> Context | None:
    """Return the context that was given, itself or as a running job's, else that of this task or thread."""
    if given is None:
        return current_context()
    context = getattr(given, "context", None)
    if not isinstance(context, Context):
        raise InvalidJob(f"context is a {type(given).__name__}; give Context(organization_id=…, user_id=…)")
    return context


def required_context(given: object, organization_id: str | None, user_id: str | None) -> Context:
    """Return the chosen context, or that of an application without tenants. Raises MissingContext."""
    if (context := chosen_context(given)) is not None:
        return context
    if organization_id and user_id:
        return Context(organization_id, user_id)
    raise MissingContext(
        "no context: pass context=Context(organization_id=…, user_id=…), bind one with pgqueue.bind(…), or, for an "
        "application without tenants, set default_organization_id and default_user_id in the settings"
    )


def checked_note(text: object, what: str = "by and reason") -> str:
    """Refuse a text that PostgreSQL cannot store."""
    if not isinstance(text, str) or "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidJob(f"{what}: text without NUL and lone surrogates, not {ascii(text)[:80]}")
    return text


def checked_key(key: object, what: str) -> str:
    """Refuse a key that could not be stored and found again."""
    if not isinstance(key, str) or not 1 <= len(key) <= _LONGEST_KEY:
        length = f"{len(key)} characters long" if isinstance(key, str) else f"a {type(key).__name__}"
        raise InvalidJob(
            f"{what} is {length}; give text of 1 to {_LONGEST_KEY} characters, or a hash of what is longer"
        )
    return checked_note(key, what)


@contextmanager
def bind(context: Context) -> Iterator[Context]:
    """Make ``context`` the one that `Queue.enqueue` takes when none is given."""
    token = ambient.set(context)
    try:
        yield context
    finally:
        ambient.reset(token)
