"""What users read about a publication or their organization, in their language."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.jobs import PublishResult

# letters and signs that fonts leave empty: the fillers of Hangul, and Braille without a dot
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")


@dataclass(frozen=True, slots=True)
class Wording:
    """A title and a text with places for ``handle``, ``body``, ``link`` and ``reason``."""

    title: str
    body: str


ENGLISH: Mapping[PublishResult, Wording] = {
    "published": Wording("Your post is online", "Your post on {handle} is online: {link}"),
    "failed": Wording(
        "Your post was not published",
        "Your post on {handle} was not published.\n\nWhat the network said: {reason}\n\nThe post: {body}",
    ),
    "unconfirmed": Wording(
        "Please check whether your post is online",
        "We could not find out whether your post on {handle} was published. Please look before you try again.\n\n"
        "What happened: {reason}\n\nThe post: {body}",
    ),
}

PORTUGUESE: Mapping[PublishResult, Wording] = {
    "published": Wording("Seu post está no ar", "Seu post em {handle} está no ar: {link}"),
    "failed": Wording(
        "Seu post não foi publicado",
        "Seu post em {handle} não foi publicado.\n\nO que a rede respondeu: {reason}\n\nO post: {body}",
    ),
    "unconfirmed": Wording(
        "Confira se o seu post está no ar",
        "Não conseguimos descobrir se o seu post em {handle} foi publicado. Confira antes de tentar de novo.\n\n"
        "O que aconteceu: {reason}\n\nO post: {body}",
    ),
}


def wording(locale: str, result: PublishResult) -> Wording:
    """Choose the words: Portuguese for Portuguese speakers, English for all others."""
    return (PORTUGUESE if locale.lower().startswith("pt") else ENGLISH)[result]


def many_gone_wrong(locale: str, count: int) -> Wording:
    """Choose the words for what is told together at the end of an hour."""
    if locale.lower().startswith("pt"):
        return Wording(
            f"Mais {count} publicações precisam da sua atenção",
            f"Além das que já avisamos, {count} publicações falharam ou não puderam ser confirmadas na última hora.\n\n"
            "Os detalhes de cada uma estão nos avisos do aplicativo.",
        )
    return Wording(
        f"{count} more publications need your attention",
        f"Besides those that we have told you of, {count} publications failed or could not be confirmed within the "
        "last hour.\n\nThe notices in the application say more of each.",
    )


def says_something(text: str) -> bool:
    """Tell whether a reader would see anything: letters, digits, signs; not only gaps and marks without a body."""
    return any(unicodedata.category(each)[0] in "LNPS" and each not in _BLANK for each in text)
