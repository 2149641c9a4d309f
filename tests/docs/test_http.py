"""The page about the API lists every route, as the code has it."""

from __future__ import annotations

from domain.http.application import create_app
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "http.md"


def table() -> str:
    """The routes by the way to them, with the first sentence of what they say of themselves."""
    lines = ["| route | operation | |", "|---|---|---|"]
    for path, operations in sorted(create_app().openapi()["paths"].items()):
        for method, operation in operations.items():
            session = "" if "security" in operation else " No session."
            first = operation["description"].partition("\n")[0]
            lines.append(f"| `{method.upper()} {path}` | `{operation['operationId']}` | {first}{session} |")
    return "\n".join(lines)


def test_the_table_of_routes_is_that_of_the_code() -> None:
    assert PAGE.read_text("utf-8").partition("## Routes\n\n")[2] == table() + "\n"
