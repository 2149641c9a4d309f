"""Where alerts go: the log, webhooks, mail, functions of the application. Each send is one blocking call with a limit.

The standard library does it: no dependency for a POST and a mail.
"""

from __future__ import annotations

import base64
import hmac
import json
import smtplib
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from pgqueue.alerts import Notice, read_secret
from pgqueue.errors import ConfigurationError
from pgqueue.failure import describe
from pgqueue.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.alerts import Alerts, Email, Webhook

_HOOK_SECONDS = 20.0
_SLACK = 5.0  # seconds that a delivery may take beyond the timeout of its socket: names are looked up, too


class NotDelivered(Exception):
    """A channel refused; the message never holds a secret."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One way out. ``name`` stands in the table of messages, and says nothing that is secret."""

    name: str
    send: Callable[[Notice], None]
    seconds: float
    """After this a send counts as failed, whatever its thread still does."""


def channels_of(alerts: Alerts) -> list[Channel]:
    """Return every channel of a configuration, each with a name of its own."""
    found = [Channel("log", _log, _HOOK_SECONDS)] if alerts.log else []
    found += [
        Channel(f"webhook {_place(each.url)}", _Post(each), each.timeout.total_seconds() + _SLACK)
        for each in alerts.webhooks
    ]
    found += [
        Channel(f"email {', '.join(each.to)}", _Mail(each), each.timeout.total_seconds() + _SLACK)
        for each in alerts.emails
    ]
    found += [
        Channel(f"hook {getattr(hook, '__qualname__', 'function')}", hook, _HOOK_SECONDS) for hook in alerts.hooks
    ]
    numbers: dict[str, int] = {}
    named = []
    for channel in found:
        numbers[channel.name] = number = numbers.get(channel.name, 0) + 1
        name = channel.name if number == 1 else f"{channel.name} {number}"
        named.append(Channel(name, channel.send, channel.seconds))
    return named


def deliver(channel: Channel, notice: Notice) -> str | None:
    """Send, and return what went wrong; the text of a foreign error is left out, it may hold a secret."""
    try:
        channel.send(notice)
    except (NotDelivered, ConfigurationError) as error:
        return describe(error).error
    except BaseException as error:  # noqa: BLE001 - a hook may raise anything, and must stop nothing
        return f"{type(error).__name__} in the channel"
    return None


def _place(url: str) -> str:
    """Return what may be shown of an address: its path and user may be secrets."""
    return url if url.startswith(("env:", "file:")) else urlsplit(url).hostname or "somewhere"


def _log(notice: Notice) -> None:
    fields = {"rule": notice.rule, "subject": notice.subject, "value": round(notice.value, 3), "text": notice.text}
    log: Any = structlog.get_logger("pgqueue")
    if notice.event == "cleared":
        log.info("alert.cleared", **fields, key=notice.key)
    elif notice.event == "test":
        log.info("alert.test", **fields, key=notice.key)
    else:
        log.error("alert.raised" if notice.event == "raised" else "alert.repeated", **fields, key=notice.key)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A message with a signature goes where it was meant to go, or nowhere."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


class _Post:
    """POSTs a notice to a webhook."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __call__(self, notice: Notice) -> None:
        webhook = self._webhook
        url = webhook.url if webhook.url.startswith("http") else read_secret(webhook.url)
        if not url.startswith(("http://", "https://")):
            raise NotDelivered("the address of the webhook does not begin with https:// or http://")
        body = json.dumps(
            {"type": f"alert.{notice.event}", "timestamp": notice.made_at.isoformat(), "data": notice.as_dict()}
        )
        request = urllib.request.Request(url, body.encode(), _headers(notice.key, body, webhook.secret), method="POST")  # noqa: S310 - http and https alone
        try:
            with self._opener.open(request, timeout=webhook.timeout.total_seconds()):
                pass
        except urllib.error.HTTPError as error:
            error.close()
            raise NotDelivered(f"the webhook answered with HTTP {error.code}") from None
        except (OSError, ValueError) as error:  # their texts may hold the address
            raise NotDelivered(f"the webhook cannot be reached: {type(error).__name__}") from None


def _headers(key: str, body: str, secret: str | None) -> dict[str, str]:
    """Return the headers of Standard Webhooks: receivers check the signature, and drop a ``webhook-id`` they know."""
    moment = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"pgqueue/{__version__}",
        "webhook-id": key,
        "webhook-timestamp": moment,
    }
    if secret is not None:
        headers["webhook-signature"] = sign(read_secret(secret), key, moment, body)
    return headers


def sign(secret: str, key: str, moment: str, body: str) -> str:
    """Return the signature ``v1,…`` of a message; a secret ``whsec_…`` is base64, any other is taken as it is."""
    raw = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.digest(raw, f"{key}.{moment}.{body}".encode(), "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


class _Mail:
    """Sends a notice as a mail."""

    def __init__(self, mail: Email) -> None:
        self._mail = mail

    def __call__(self, notice: Notice) -> None:
        mail = self._mail
        try:
            with self._connected() as server:
                if mail.tls == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if mail.username is not None:
                    server.login(mail.username, read_secret(mail.password) if mail.password else "")
                server.send_message(_letter(mail, notice))
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(f"the mail server answered with {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotDelivered(f"the mail server cannot be used: {type(error).__name__}") from None

    def _connected(self) -> smtplib.SMTP:
        mail, seconds = self._mail, self._mail.timeout.total_seconds()
        if mail.tls == "implicit":
            return smtplib.SMTP_SSL(mail.host, mail.port, timeout=seconds, context=ssl.create_default_context())
        return smtplib.SMTP(mail.host, mail.port, timeout=seconds)


def _letter(mail: Email, notice: Notice) -> EmailMessage:
    letter = EmailMessage()
    subject = f"[pgqueue] {notice.event}: {notice.rule.replace('_', ' ')}, {notice.subject}"
    letter["Subject"] = "".join(char if char.isprintable() else "?" for char in subject)[:200]
    letter["From"] = mail.sender
    letter["To"] = ", ".join(mail.to)
    digest = hmac.digest(b"pgqueue", notice.key.encode(), "sha256").hex()[:32]
    letter["Message-ID"] = f"<{digest}@pgqueue.invalid>"  # the same on every try
    letter.set_content(
        f"{notice.text}\n\nevent    {notice.event}\nrule     {notice.rule}\nsubject  {notice.subject}\n"
        f"value    {notice.value:g}\nraised   {notice.raised_at.isoformat()}\nkey      {notice.key}\n"
    )
    return letter
