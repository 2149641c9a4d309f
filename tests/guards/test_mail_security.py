"""Mail over TLS with a login: the password travels sealed, and only to who the certificate names."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pgqueue import Alerts, Email, Notice
from pgqueue.channels import channels_of, deliver
from tests.guards.receivers import mail_receiver

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime.now(dt.UTC)
NOTICE = Notice("key", "raised", "dead_letters", "kind Mail", 1.0, "one died", NOW, NOW)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a mail server of the tests")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    path = tmp_path / "mail.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def sealed(certificate: Path, tls: str) -> dict[str, Any]:
    """What the mail server is made with."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def knows(_server: Any, _session: Any, _envelope: Any, _mechanism: str, told: Any) -> AuthResult:
        return AuthResult(success=(told.login, told.password) == (b"queue", b"a password"), handled=False)

    if tls == "implicit":
        return {"authenticator": knows, "ssl_context": context, "auth_require_tls": False}
    return {"authenticator": knows, "tls_context": context, "auth_required": True, "require_starttls": True}


def send(port: int, tls: Any) -> str | None:
    mail = Email(
        to=["ops@example.org"],
        sender="q@example.org",
        host="127.0.0.1",
        port=port,
        tls=tls,
        username="queue",
        password="env:A_MAIL_PASSWORD",
    )
    (channel,) = channels_of(Alerts(log=False, emails=[mail]))
    return deliver(channel, NOTICE)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_mail_is_handed_over_sealed_and_with_a_login(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("A_MAIL_PASSWORD", "a password")
    with mail_receiver(**sealed(certificate, tls)) as (mailbox, port):
        assert send(port, tls) is None
        assert len(mailbox.mails) == 1
        monkeypatch.setenv("A_MAIL_PASSWORD", "another")
        assert send(port, tls) == "the mail server answered with 535"
        monkeypatch.delenv("SSL_CERT_FILE")
        assert send(port, tls) == "the mail server cannot be used: SSLCertVerificationError"
    assert len(mailbox.mails) == 1
