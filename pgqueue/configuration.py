"""The configuration file: where it is looked for, what stands in it, and how values of several sources become one.

`pgqueue.toml`, or the table `[tool.pgqueue]` of `pyproject.toml`, in the working directory or the nearest one above
it that has either. Both in one directory are refused: nobody could tell which one holds.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pgqueue.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CONFIG_VARIABLE = "PGQUEUE_CONFIG"
FILE_NAME = "pgqueue.toml"
_PROJECT = "pyproject.toml"

Key = tuple[str, ...]
"""The way to a value: ``("queues", "high", "workers")``. A queue's name may have dots in it, so no dotted text."""


class Layer(NamedTuple):
    """Values of one source. ``names``: what a key is called there, where that is not the key itself."""

    source: str
    values: Mapping[str, Any]
    names: Mapping[Key, str] = {}

    def source_of(self, key: Key) -> str:
        """Say where a value of this layer was written."""
        return self.names.get(key, self.source)


def find(start: Path) -> Path | None:
    """Return the nearest file with settings, from ``start`` upwards.

    Raises:
        InvalidSettings: two of them in one directory, or one that cannot be read.

    """
    for folder in (start, *start.parents):
        plain, project = folder / FILE_NAME, folder / _PROJECT
        in_project = project.is_file() and "pgqueue" in _tools(project)
        if plain.is_file() and in_project:
            raise InvalidSettings([f"{plain} and [tool.pgqueue] of {project} both exist: keep one of them"])
        if plain.is_file() or in_project:
            return plain if plain.is_file() else project
    return None


def read(path: Path) -> Layer:
    """Read a file's settings.

    Raises:
        InvalidSettings: it is missing, is no TOML, or has no settings.

    """
    if path.name != _PROJECT:
        return Layer(str(path), _parsed(path))
    values = _tools(path).get("pgqueue")
    if not isinstance(values, dict):
        raise InvalidSettings([f"{path}: there is no table [tool.pgqueue] in it; write one, or name another file"])
    return Layer(f"{path} [tool.pgqueue]", values)


def _tools(path: Path) -> dict[str, Any]:
    tools = _parsed(path).get("tool", {})
    return tools if isinstance(tools, dict) else {}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InvalidSettings([f"{path}: there is no such file; correct --config or {CONFIG_VARIABLE}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings([f"{path}: cannot be read ({error})"]) from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings([f"{path}: is no TOML: {error}"]) from None


def merge(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[Key, str]]:
    """Put later layers over earlier ones, tables key by key; returns the values and where each came from."""
    values: dict[str, Any] = {}
    sources: dict[Key, str] = {}
    for layer in layers:
        _put(values, layer.values)
        sources |= {key: layer.source_of(key) for key, _ in leaves(layer.values)}
    return values, sources


def _put(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for name, value in above.items():
        if isinstance(value, dict):
            into = below.get(name)
            below[name] = dict(into) if isinstance(into, dict) else {}
            _put(below[name], value)
        else:
            below[name] = value


def leaves(values: Mapping[str, Any], above: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Return every value that is no table, with the way to it (an empty table counts as a value)."""
    for name, value in values.items():
        key = (*above, str(name))
        if isinstance(value, dict) and value:
            yield from leaves(value, key)
        else:
            yield key, value


def without(values: Mapping[str, Any], keys: Iterable[Key]) -> dict[str, Any]:
    """Return the values without those at these keys."""
    gone = set(keys)

    def kept(table: Mapping[str, Any], above: Key) -> dict[str, Any]:
        return {
            name: kept(value, (*above, name)) if isinstance(value, dict) else value
            for name, value in table.items()
            if (*above, name) not in gone
        }

    return kept(values, ())


def in_tables(values: Any, key: Key) -> Key:
    """Return the key of the whole list if it leads into one: an item alone cannot be left out."""
    for depth, name in enumerate(key):
        if not isinstance(values, dict):
            return key[:depth]
        values = values.get(name)
    return key


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say which name was probably meant."""
    names = sorted(known)
    close = get_close_matches(name.replace("-", "_").lower(), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def nearest(start: Path | None, environment: Mapping[str, str], named: Path | None) -> Path | None:
    """Choose the file: the environment's, else the one that the code names, else the one that is found."""
    if given := environment.get(CONFIG_VARIABLE):
        return Path(given)
    return named or (find(start) if start else None)
