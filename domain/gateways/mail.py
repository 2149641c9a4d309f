"""Mail over SMTP, within a deadline and behind a breaker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gateways.failures import Rejected, Transient

if TYPE_CHECKING:
    from datetime import timedelta
    from email.message import EmailMessage

    from domain.gateways.breakers import Breakers

PROVIDER = "smtp"
_PERMANENT = 500


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over."""

    host: str
    port: int
    start_tls: bool | None
    username: str | None
    password: str | None


class Mailer:
    """Hands messages to the mail server."""

    def __init__(self, server: MailServer, breakers: Breakers, *, deadline: timedelta) -> None:
        self._server = server
        self._breakers = breakers
        self._deadline = deadline.total_seconds()

    async def send(self, message: EmailMessage) -> str:
        """Hand one message over and return the server's last words.

        A lost answer is reported as `Transient`: a second copy carries the same Message-ID, and no mail at all
        would be worse.
        """
        import aiosmtplib  # for those who send mails

        server = self._server
        with self._breakers.calling(PROVIDER, f"{server.host}:{server.port}"):
            try:
                async with asyncio.timeout(self._deadline):
                    return await self._hand_over(message)
            except aiosmtplib.SMTPRecipientsRefused as error:
                raise _refusal(error.recipients[0].code, error.recipients[0].message) from error
            except aiosmtplib.SMTPResponseException as error:
                raise _refusal(error.code, error.message) from error
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                raise Transient(f"mail server: {error!r}", code="no_answer") from error

    async def _hand_over(self, message: EmailMessage) -> str:
        import aiosmtplib

        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            start_tls=server.start_tls,
            username=server.username,
            password=server.password,
            timeout=self._deadline,
        )
        async with client:
            _, reply = await client.send_message(message)
            return reply


def _refusal(code: int, text: str) -> Rejected | Transient:
    failure = Rejected if code >= _PERMANENT else Transient
    return failure(f"SMTP {code}: {text[:300]}", code=f"smtp_{code}", status=code)
