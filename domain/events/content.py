"""Posts and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PostEdited:
    """The text of a post is another one."""

    post_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaUploaded:
    """A file is stored and waits for its scan."""

    media_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaCleared:
    """A file may be published."""

    media_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfected:
    """A file is in quarantine."""

    media_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRejected:
    """A file is of no kind or size that we take."""

    media_id: UUID
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailReady:
    """A file has a small picture."""

    media_id: UUID
