"""The page on which a network asks its user to let us in, and the endpoint that exchanges the code: OAuth 2, with PKCE.

There is nobody to press a button: `visitor` is who is signed in on the network and says yes; None says no.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from domain.standins.networks import Answer


@dataclass(frozen=True, slots=True)
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str
    account: str


class Consent:
    """Who is known here, and which codes are open. A code is good once."""

    def __init__(self, *, pkce: bool = False) -> None:
        self.visitor: str | None = None
        self._pkce = pkce
        self._lock = threading.Lock()
        self._clients: dict[str, tuple[str, str]] = {}
        self._codes: dict[str, _Code] = {}
        self._made = 0

    def add_client(self, client_id: str, secret: str, redirect_uri: str) -> None:
        """Know an application."""
        with self._lock:
            self._clients[client_id] = (secret, redirect_uri)

    def register(self, redirect_uri: str) -> dict[str, str]:
        """Know an application that introduces itself."""
        with self._lock:
            self._made += 1
            client_id, secret = f"client-{self._made}", f"client-secret-{self._made}"
            self._clients[client_id] = (secret, redirect_uri)
        return {"client_id": client_id, "client_secret": secret, "redirect_uri": redirect_uri}

    def forget_clients(self) -> None:
        """Lose all applications, as a server that was set up anew."""
        with self._lock:
            self._clients.clear()

    def knows(self, client_id: str, secret: str) -> bool:
        """Tell whether an application is who it says it is."""
        with self._lock:
            return self._clients.get(client_id, ("", ""))[0] == secret != ""

    def authorize(self, query: dict[str, str]) -> Answer:
        """Send the visitor back with a code, or with a refusal. To an address that we do not know nobody is sent."""
        redirect_uri, challenge = query.get("redirect_uri", ""), query.get("code_challenge", "")
        with self._lock:
            known = self._clients.get(query.get("client_id", ""))
            if known is None or known[1] != redirect_uri or query.get("response_type") != "code":
                return Answer({"error": "invalid_request"}, HTTPStatus.BAD_REQUEST)
            if self._pkce and (not challenge or query.get("code_challenge_method") != "S256"):
                return Answer({"error": "invalid_request"}, HTTPStatus.BAD_REQUEST)
            if self.visitor is None:
                said = {"error": "access_denied"}
            else:
                self._made += 1
                code = f"code-{self._made}"
                self._codes[code] = _Code(query["client_id"], redirect_uri, challenge, self.visitor)
                said = {"code": code}
        url = f"{redirect_uri}?{urlencode(said | {'state': query.get('state', '')})}"
        return Answer({}, HTTPStatus.FOUND, {"Location": url})

    def redeem(self, form: Any) -> str | Answer:
        """Return whose code it was, or the refusal."""
        given = form if isinstance(form, dict) else {}
        if not self.knows(str(given.get("client_id", "")), str(given.get("client_secret", ""))):
            return Answer({"error": "invalid_client"}, HTTPStatus.UNAUTHORIZED)
        with self._lock:
            code = self._codes.pop(str(given.get("code", "")), None)
        fits = (
            code is not None
            and given.get("grant_type") == "authorization_code"
            and (code.client_id, code.redirect_uri) == (given.get("client_id"), given.get("redirect_uri"))
            and (not code.challenge or code.challenge == _challenge(str(given.get("code_verifier", ""))))
        )
        if code is None or not fits:
            description = f"the code {given.get('code')} is not good"
            return Answer({"error": "invalid_grant", "error_description": description}, HTTPStatus.BAD_REQUEST)
        return code.account


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
