"""Whether a request to S3 is signed by somebody who knows the secret: Signature Version 4, in header or address."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
_SKEW = timedelta(minutes=15)
_FIELDS = re.compile(r"(\w+)=([^,\s]+)")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: the path and the query undecoded, the names of headers in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says of its signature."""

    credential: str
    names: str
    signature: str
    moment: str
    payload: str
    lasts: timedelta


def fault_of(request: Request, *, access_key: str, secret_key: str, now: datetime) -> str | None:
    """Return S3's code for what is wrong with the signature; None: it is good."""
    claim = _claim(request)
    if claim is None or "host" not in claim.names.split(";"):
        return "AccessDenied"
    try:
        signed_at = datetime.strptime(claim.moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "AccessDenied"
    key, _, scope = claim.credential.partition("/")
    expected = _signature(request, claim, scope, secret_key)
    sent = claim.payload in {UNSIGNED, hashlib.sha256(request.body).hexdigest()}
    checks = (
        (not signed_at - _SKEW <= now <= signed_at + claim.lasts, "AccessDenied"),
        (key != access_key, "InvalidAccessKeyId"),
        (not sent, "XAmzContentSHA256Mismatch"),
        (not hmac.compare_digest(expected, claim.signature), "SignatureDoesNotMatch"),
    )
    return next((code for wrong, code in checks if wrong), None)


def _claim(request: Request) -> _Claim | None:
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    if "X-Amz-Signature" in query:
        said = {name: query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature", "Date")}
        lasts = timedelta(seconds=int(query.get("X-Amz-Expires", "0")))
        return _Claim(said["Credential"], said["SignedHeaders"], said["Signature"], said["Date"], UNSIGNED, lasts)
    algorithm, _, rest = request.headers.get("authorization", "").partition(" ")
    if algorithm != ALGORITHM:
        return None
    fields = dict(_FIELDS.findall(rest))
    moment, payload = request.headers.get("x-amz-date", ""), request.headers.get("x-amz-content-sha256", "")
    credential, names = fields.get("Credential", ""), fields.get("SignedHeaders", "")
    return _Claim(credential, names, fields.get("Signature", ""), moment, payload, _SKEW)


def _signature(request: Request, claim: _Claim, scope: str, secret_key: str) -> str:
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in claim.names.split(";"))
    parts = (request.method, request.path, _canonical(request.query), headers, claim.names, claim.payload)
    canonical = "\n".join(parts)
    said = "\n".join((ALGORITHM, claim.moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):  # day, region, service, and the word at the end
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


def _canonical(query: str) -> str:
    pairs = [
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(query, keep_blank_values=True)
        if name != "X-Amz-Signature"
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))
