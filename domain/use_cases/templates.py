"""The texts of our mails and pages: in Portuguese for Portuguese speakers, in English for all others."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parents[1] / "templates"
_TAGS = {"en": "en", "pt": "pt-BR"}


class Rendering(NamedTuple):
    """A mail's three parts."""

    subject: str
    text: str
    html: str


def render(locale: str, template: str, **values: object) -> Rendering:
    """Fill in a template. The first line of its ``.txt`` is the subject; a value that is missing is an error."""
    language = _language(locale)
    environment = _environment()
    text = environment.get_template(f"{language}/{template}.txt").render(values)
    subject, _, body = text.partition("\n")
    layout = {"language": _TAGS[language], "subject": subject}
    html = environment.get_template(f"{language}/{template}.html").render(values | layout)
    return Rendering(subject, body.lstrip("\n"), html)


def page(locale: str, template: str, **values: object) -> str:
    """Fill in a page for a browser."""
    language = _language(locale)
    return _environment().get_template(f"{language}/{template}.html").render(values, language=_TAGS[language])


def _language(locale: str) -> str:
    return "pt" if locale.lower().startswith("pt") else "en"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape  # for those who write mails

    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
