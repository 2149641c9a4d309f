"""Uploaded files: from a stream of bytes to something that may be published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gateways.scanner import Scanner
from domain.use_cases.forms import OneOrSweep
from domain.use_cases.media.scanning import ScanMedia, SweepUnscannedMedia
from domain.use_cases.media.thumbnails import BuryThumbnail, GenerateThumbnail
from domain.use_cases.media.uploading import RegisterUpload

if TYPE_CHECKING:
    from uuid import UUID

    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class MediaLibrary:
    """The use cases of this context."""

    register_upload: RegisterUpload
    scan_media: OneOrSweep[UUID]
    generate_thumbnail: GenerateThumbnail
    bury_thumbnail: BuryThumbnail


def media(parts: Parts) -> MediaLibrary:
    """Put the context together."""
    configuration = parts.configuration
    scanner = Scanner(configuration.clamd_address, parts.breakers, deadline=configuration.scan_deadline)
    return MediaLibrary(
        register_upload=RegisterUpload(parts.units, parts.storage, configuration.largest_upload_bytes),
        scan_media=OneOrSweep(ScanMedia(parts.units, parts.storage, scanner), SweepUnscannedMedia(parts.units)),
        generate_thumbnail=GenerateThumbnail(parts.units, parts.storage),
        bury_thumbnail=BuryThumbnail(parts.units),
    )
