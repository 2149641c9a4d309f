"""The objects of the stand-in for S3: what is stored, uploads in parts, lists."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.sax.saxutils import escape, unescape

if TYPE_CHECKING:
    from collections.abc import Mapping

_SMALLEST_PART = 5 << 20
_PAGE = 1000
_PART = re.compile(r"<Part>(.*?)</Part>", re.DOTALL)
_NUMBER = re.compile(r"<PartNumber>(\d+)</PartNumber>")
_TAG = re.compile(r"<ETag>(.*?)</ETag>")
_KEY = re.compile(r"<Key>(.*?)</Key>", re.DOTALL)


class Refused(Exception):
    """S3 says no, with a code and a status."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Stored:
    """One object."""

    content: bytes
    kind: str = "binary/octet-stream"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def tag(self) -> str:
        """What S3 calls this content by."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


class Objects:
    """One bucket. It is called under the stand-in's lock."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.stored: dict[str, Stored] = {}
        self.uploads: dict[str, dict[int, Stored]] = {}
        self._made = 0

    def get(self, key: str) -> Stored:
        """Return an object."""
        found = self.stored.get(key)
        if found is None:
            raise Refused("NoSuchKey", HTTPStatus.NOT_FOUND)
        return found

    def put(self, key: str, content: bytes, headers: Mapping[str, str]) -> str:
        """Store an object, or copy one; return an answer in XML (empty for a plain one)."""
        source = headers.get("x-amz-copy-source")
        made = Stored(content) if source is None else self._source(source)
        self._check(key, headers)
        self.stored[key] = made
        return "" if source is None else f"<CopyObjectResult><ETag>{escape(made.tag)}</ETag></CopyObjectResult>"

    def begin(self, key: str) -> str:
        """Begin an upload in parts."""
        self._made += 1
        upload_id = f"upload-{self._made}"
        self.uploads[upload_id] = {}
        return (
            f"<InitiateMultipartUploadResult><Bucket>{self.bucket}</Bucket><Key>{escape(key)}</Key>"
            f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
        )

    def part(self, query: Mapping[str, str], content: bytes, headers: Mapping[str, str]) -> tuple[Stored, str]:
        """Take a part, or copy one."""
        source = headers.get("x-amz-copy-source")
        made = Stored(content) if source is None else self._source(source)
        self._upload(query["uploadId"])[int(query["partNumber"])] = made
        told = f"<CopyPartResult><ETag>{escape(made.tag)}</ETag></CopyPartResult>"
        return made, "" if source is None else told

    def complete(self, key: str, upload_id: str, body: str, headers: Mapping[str, str]) -> str:
        """Put the parts together, if they are those that were sent."""
        parts = self._upload(upload_id)
        chosen: list[Stored] = []
        for said in _PART.findall(body):
            number, tag = _NUMBER.search(said), _TAG.search(said)
            part = parts.get(int(number[1])) if number else None
            if part is None or tag is None or unescape(tag[1], {"&quot;": '"'}) != part.tag:
                raise Refused("InvalidPart", HTTPStatus.BAD_REQUEST)
            chosen.append(part)
        if not chosen or any(len(part.content) < _SMALLEST_PART for part in chosen[:-1]):
            raise Refused("EntityTooSmall", HTTPStatus.BAD_REQUEST)
        self._check(key, headers)
        made = Stored(b"".join(part.content for part in chosen))
        self.stored[key] = made
        del self.uploads[upload_id]
        return f"<CompleteMultipartUploadResult><ETag>{escape(made.tag)}</ETag></CompleteMultipartUploadResult>"

    def delete(self, body: str) -> str:
        """Delete many; those that are not there count as deleted."""
        keys = [unescape(key, {"&quot;": '"', "&apos;": "'"}) for key in _KEY.findall(body)]
        for key in keys:
            self.stored.pop(key, None)
        told = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return f"<DeleteResult>{told}</DeleteResult>"

    def list(self, query: Mapping[str, str]) -> str:
        """List keys, a page at a time."""
        after = query.get("continuation-token", query.get("start-after", ""))
        found = sorted(key for key in self.stored if key.startswith(query.get("prefix", "")) and key > after)
        page = found[: min(int(query.get("max-keys", _PAGE)), _PAGE)]
        more = len(found) > len(page)
        told = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{self.stored[key].at:%Y-%m-%dT%H:%M:%S.000Z}"
            f"</LastModified><ETag>{escape(self.stored[key].tag)}</ETag><Size>{len(self.stored[key].content)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{self.bucket}</Name><KeyCount>{len(page)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{told}</ListBucketResult>"
        )

    def _check(self, key: str, headers: Mapping[str, str]) -> None:
        if headers.get("if-none-match") == "*" and key in self.stored:
            raise Refused("PreconditionFailed", HTTPStatus.PRECONDITION_FAILED)

    def _source(self, named: str) -> Stored:
        bucket, _, key = unquote(named).lstrip("/").partition("/")
        if bucket != self.bucket:
            raise Refused("NoSuchBucket", HTTPStatus.NOT_FOUND)
        return self.get(key)

    def _upload(self, upload_id: str) -> dict[int, Stored]:
        if upload_id not in self.uploads:
            raise Refused("NoSuchUpload", HTTPStatus.NOT_FOUND)
        return self.uploads[upload_id]
