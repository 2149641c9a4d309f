"""What is known before a command runs: the global options, and how to get at the database."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.configuration import nearest, read
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pgqueue.app import App
    from pgqueue.cli.database import Database

URL_VARIABLE = "PGQUEUE_DATABASE_URL"
APP_VARIABLE = "PGQUEUE_APP"

By = Annotated[str | None, typer.Option("--by", help="Who does it. Default: the OS user.")]
"""Every command that changes something says who did it, in `pgqueue actions`."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options that every command takes."""

    database_url: str | None
    embedded: bool
    given_schema: str | None
    json: bool

    @property
    def schema(self) -> str:
        """The schema of the queue's tables: from option or variable, else from the configuration file."""
        return self.given_schema or _from_file("schema_name") or "pgqueue"

    def url(self) -> str:
        """Return the database's address; starts the embedded server if that was asked for."""
        given = "embedded:" if self.embedded else self.database_url or _from_file("database_url")
        if not given:
            raise ConfigurationError(
                f"no database: set {URL_VARIABLE}=postgresql://user@host/database, "
                "or pass --embedded for the built-in server"
            )
        from pgqueue.embedded import embedded_url, is_embedded

        return embedded_url(given) if is_embedded(given) else given


def _from_file(name: str) -> str | None:
    """Return what the configuration file says, without checking the rest of it."""
    found = nearest(Path.cwd(), os.environ, None)
    value = read(found).values.get(name) if found else None
    return value if isinstance(value, str) else None


def options(ctx: typer.Context) -> Options:
    """Return the global options of this call."""
    found = ctx.obj
    if not isinstance(found, Options):
        raise TypeError("a command was called without its group")
    return found


def opened(ctx: typer.Context, *, check: bool = True) -> AbstractContextManager[Database]:
    """Connect; ``check``: the schema must be there and fit."""
    from pgqueue.cli.database import open_database

    return open_database(options(ctx), check=check)


def app_of(path: str | None) -> App:
    """Load the application that --app names, from where the command was called."""
    if not path:
        raise ConfigurationError(f"no application: pass --app module:attribute, or set {APP_VARIABLE}")
    from pgqueue.app import load_app

    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # a console script does not look where it is called
    return load_app(path)


def os_user() -> str:
    """Return who calls, for what is written down about it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return "unknown"
