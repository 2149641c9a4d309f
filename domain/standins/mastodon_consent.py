"""How the stand-in for Mastodon lets applications in: they register, users allow them, tokens are given and taken."""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

from domain.standins.consent import Consent
from domain.standins.networks import Answer

if TYPE_CHECKING:
    from domain.standins.mastodon import MastodonStandIn
    from domain.standins.networks import Call

PATHS = frozenset({"/api/v1/apps", "/api/v2/instance", "/oauth/authorize", "/oauth/token"})


class MastodonConsent:
    """Answers the calls of `PATHS`; what goes wrong is decided by the stand-in's switches."""

    def __init__(self, mastodon: MastodonStandIn) -> None:
        self.consent = Consent(pkce=True)
        self.faults = mastodon.faults
        self.lock = threading.RLock()
        self.calls: list[str] = []
        self._mastodon = mastodon
        self._issued = 0

    def answer(self, call: Call) -> Answer:
        """Do what was asked."""
        match call.method, call.path:
            case "POST", "/api/v1/apps":
                return Answer(self.consent.register(str(call.body["redirect_uris"])))
            case "GET", "/oauth/authorize":
                return self.consent.authorize(call.query)
            case "POST", "/oauth/token":
                return self._token(call)
            case "GET", "/api/v2/instance":
                return Answer({"configuration": {"statuses": {"max_characters": self._mastodon.max_characters}}})
        return Answer({"error": "Record not found"}, HTTPStatus.NOT_FOUND)

    def refuse(self, kind: str) -> Answer:
        """Refuse as OAuth does."""
        if kind == "unauthorized":
            return Answer({"error": "invalid_client"}, HTTPStatus.UNAUTHORIZED)
        return Answer({"error": "invalid_grant"}, HTTPStatus.BAD_REQUEST)

    def timeline(self) -> bytes:
        """Return a page for people."""
        return self._mastodon.timeline()

    def _token(self, call: Call) -> Answer:
        found = self.consent.redeem(call.body)
        if isinstance(found, Answer):
            return found
        self._issued += 1
        token = f"granted-{found}-{self._issued}"
        self._mastodon.grant(found, token)
        return Answer({"access_token": token, "token_type": "Bearer", "scope": "read write", "created_at": 0})
