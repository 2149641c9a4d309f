"""What a role allows. Code, not a table: a right comes with the release that asks for it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(StrEnum):
    """What a user is in an organization, the mightiest first."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"

    @property
    def rank(self) -> int:
        """How far up it stands; 0 is the top."""
        return list(Role).index(self)


class Right(StrEnum):
    """What somebody may want to do."""

    VIEW = "view"
    """Read whatever belongs to the organization."""
    PUBLISH = "publish"
    """Write and schedule posts, upload files, ask for reports."""
    CONNECT = "connect"
    """Connect and give up accounts, register webhook endpoints."""
    MANAGE_MEMBERS = "manage_members"
    """Invite, change and remove members, as far up as the own role reaches."""
    BILLING = "billing"
    """Choose and pay for a plan."""
    CONFIGURE = "configure"
    """Change the organization itself."""


_VIEWER: Final = frozenset({Right.VIEW})
_EDITOR: Final = _VIEWER | {Right.PUBLISH}
_ADMIN: Final = _EDITOR | {Right.CONNECT, Right.MANAGE_MEMBERS, Right.CONFIGURE}

RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.VIEWER: _VIEWER,
    Role.EDITOR: _EDITOR,
    Role.ADMIN: _ADMIN,
    Role.OWNER: frozenset(Right),
}
