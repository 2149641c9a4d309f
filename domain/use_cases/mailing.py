"""One e-mail: written down before it is handed over and after, so that a second run sends no second one.

A crash between the server's "250" and our commit can still send a copy. It carries the same Message-ID and the same
text, so it does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage as MimeMessage
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from domain.gateways.failures import Postponed, Rejected
from domain.models import EmailMessage, EmailStatus, new_id, transition
from pgqueue import Discard, Outcome, Snooze

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.gateways.mail import Mailer
    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Death, JobContext

_ENDED = (EmailStatus.SENT, EmailStatus.BOUNCED, EmailStatus.SUPPRESSED)
_MOST_REPLY = 500


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom mails come from."""

    address: str
    domain: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be said to whom; never printed, since a text may hold a link with a secret."""

    key: str
    """The same for every attempt to send it; a letter with a key that was sent is not sent again."""
    template: str
    user_id: UUID
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Mailing:
    """Sends letters, each once."""

    units: UnitsOfWork
    mailer: Mailer
    vault: Vault
    sender: Sender

    async def over(self, uow: UnitOfWork, key: str) -> bool:
        """Tell whether the letter has gone, or never will."""
        status = await uow.session.scalar(select(EmailMessage.status).where(EmailMessage.dedupe_key == key))
        return status in _ENDED

    async def begin(self, uow: UnitOfWork, letter: Letter) -> MimeMessage | None:
        """Write down that the letter goes out (commit before `send`); None: it has gone, or never will."""
        values = {
            "id": new_id(),
            "organization_id": uow.organization_id,
            "user_id": letter.user_id,
            "dedupe_key": letter.key,
            "template": letter.template,
            "recipient_fingerprint": self.vault.fingerprint(letter.to),
            "message_id": f"<{new_id().hex}@{self.sender.domain}>",
        }
        await uow.session.execute(insert(EmailMessage).values(values).on_conflict_do_nothing())
        email = await _locked(uow, letter.key)
        if email is None or email.status in _ENDED:
            return None
        if email.status == EmailStatus.PENDING:
            transition(email, EmailStatus.SENDING)
        return self._message(letter, email.message_id)

    async def send(self, ctx: JobContext, letter: Letter, message: MimeMessage) -> Outcome | None:
        """Hand it over and complete the job together with what became of it."""
        try:
            reply = await self.mailer.send(message)
        except Rejected as error:
            async with self.units.begin(ctx.context) as uow:
                await self.settle(uow, letter.key, EmailStatus.BOUNCED, error.status, str(error))
            return Discard(f"{error.code}: the address was refused")
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        async with ctx.transaction() as session:
            await self.settle(self.units.join(session, ctx.context), letter.key, EmailStatus.SENT, 250, reply)
        return None

    async def bury(self, session: AsyncSession, death: Death, key: str) -> None:
        """Put a letter that was being sent back to `pending`: a requeued job takes it up again."""
        await self.settle(self.units.join(session, death.context), key, EmailStatus.PENDING, None, death.error)

    async def settle(self, uow: UnitOfWork, key: str, status: EmailStatus, code: int | None, reply: str) -> None:
        """Write down what became of a letter that was being sent."""
        email = await _locked(uow, key)
        if email is None or email.status != EmailStatus.SENDING:
            return
        transition(email, status)
        email.smtp_code, email.smtp_reply = code, reply[:_MOST_REPLY].replace("\x00", "")
        if status == EmailStatus.SENT:
            email.sent_at = func.clock_timestamp()

    def _message(self, letter: Letter, message_id: str) -> MimeMessage:
        message = MimeMessage()
        message["From"] = self.sender.address
        message["To"] = letter.to
        message["Subject"] = letter.subject
        message["Message-ID"] = message_id  # the same on a second attempt, so that a copy can be recognised
        message.set_content(letter.text)
        if letter.html is not None:
            message.add_alternative(letter.html, subtype="html")
        return message


async def _locked(uow: UnitOfWork, key: str) -> EmailMessage | None:
    return await uow.session.scalar(select(EmailMessage).where(EmailMessage.dedupe_key == key).with_for_update())
