"""Signing up, in and out, and the links that are mailed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints

from domain.http.requests import App, Ip, LeavingToo, Nobody
from domain.http.shapes import Accepted, Model, Text, View

router = APIRouter(tags=["identity"])

Email = Annotated[Text, StringConstraints(min_length=3, max_length=254), Field(examples=["ana@example.com"])]
Password = Annotated[Text, StringConstraints(min_length=1, max_length=200), Field(examples=["correct horse battery"])]
Secret = Annotated[Text, StringConstraints(min_length=1, max_length=200), Field(description="What follows `secret=`.")]


class SignUp(Model):
    """Somebody who wants an account."""

    email: Email
    password: Password
    name: Annotated[Text, StringConstraints(max_length=200)] = ""
    locale: Annotated[Text, StringConstraints(max_length=35)] = "pt-BR"


class Credentials(Model):
    """Somebody who has one."""

    email: Email
    password: Password


class Address(Model):
    """An e-mail address."""

    email: Email


class Link(Model):
    """The secret of a mailed link."""

    secret: Secret


class NewPassword(Model):
    """The secret of a mailed link, and the password from now on."""

    secret: Secret
    password: Password


class Verified(View):
    """Whose address it is."""

    user_id: UUID


class Session(View):
    """A session. The token is shown this once; send it as `Authorization: Bearer <token>`."""

    user_id: UUID
    token: str = Field(validation_alias="secret")
    expires_at: datetime


@router.post(
    "/users", status_code=202, responses={429: {"description": "Too many mails to this address or from here."}}
)
async def sign_up(app: App, nobody: Nobody, ip: Ip, body: SignUp) -> Accepted:
    """Sign up. The answer is the same whether the address was known or not; a mail says what to do."""
    await app.identity.register_user(
        nobody, email=body.email, password=body.password, name=body.name, locale=body.locale, ip=ip
    )
    return Accepted()


@router.post("/email-verifications")
async def verify_email(app: App, nobody: Nobody, body: Link) -> Verified:
    """Prove an address with the secret of the mailed link."""
    return Verified(user_id=await app.identity.verify_email(nobody, secret=body.secret))


@router.post(
    "/password-resets",
    status_code=202,
    responses={429: {"description": "Too many mails to this address or from here."}},
)
async def request_password_reset(app: App, nobody: Nobody, ip: Ip, body: Address) -> Accepted:
    """Ask for a link to choose a new password. The answer is the same for any address."""
    await app.identity.request_password_reset(nobody, email=body.email, ip=ip)
    return Accepted()


@router.post("/password-resets/redeem", status_code=204)
async def reset_password(app: App, nobody: Nobody, body: NewPassword) -> None:
    """Choose a new password with the secret of the mailed link. All sessions end."""
    await app.identity.reset_password(nobody, secret=body.secret, password=body.password)


@router.post(
    "/sessions",
    status_code=201,
    responses={
        401: {"description": "The address or the password is wrong."},
        429: {"description": "Too many tries for this address or from here."},
    },
)
async def sign_in(app: App, nobody: Nobody, ip: Ip, request: Request, body: Credentials) -> Session:
    """Open a session for thirty days."""
    agent = request.headers.get("User-Agent")
    found = await app.identity.sign_in(nobody, email=body.email, password=body.password, ip=ip, user_agent=agent)
    return Session.model_validate(found)


@router.delete("/sessions/current", status_code=204)
async def sign_out(app: App, caller: LeavingToo) -> None:
    """End this session."""
    await app.identity.sign_out(caller.context, secret=caller.secret)
