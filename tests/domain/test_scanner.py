"""The scanner's gateway against the stand-in and, where it is installed, a real clamd: both have to say the same."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import zipfile
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from domain.gateways.breakers import Breakers
from domain.gateways.failures import Rejected, Transient
from domain.gateways.scanner import TOO_LARGE, Scanner
from domain.standins import ClamdStandIn
from domain.standins.clamd import EICAR
from pgqueue import Settings
from tests.domain.files import an_image, stream

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

MOST = 1 << 20
CLAMD = shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def a_real_clamd(directory: Path) -> Iterator[str]:
    """Start clamd on a socket of its own, with signatures of two lines instead of a database from the network."""
    signatures = directory / "signatures"
    signatures.mkdir()
    digest = hashlib.md5(EICAR, usedforsecurity=False).hexdigest()  # what the format of these files wants
    (signatures / "local.hdb").write_text(f"{digest}:{len(EICAR)}:Eicar-Test-Signature\n")
    (signatures / "local.ndb").write_text(f"Eicar-Test-Body:0:*:{EICAR.hex()}\n")
    settings = directory / "clamd.conf"
    settings.write_text(
        f"DatabaseDirectory {signatures}\nLocalSocket {directory}/socket\nForeground yes\nStreamMaxLength 1M\n"
    )
    assert CLAMD is not None
    with subprocess.Popen(
        [CLAMD, f"--config-file={settings}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said = []
            for line in process.stdout or ():
                said.append(line)
                if "Self checking" in line:  # its last word before it serves
                    break
            assert process.poll() is None, said
            yield f"unix:{directory}/socket"
        finally:
            process.terminate()


@pytest.fixture(scope="module", params=["the stand-in", "clamd"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "the stand-in":
        with ClamdStandIn(max_stream=MOST) as stand_in:
            yield stand_in.url
        return
    if CLAMD is None:
        pytest.skip("there is no clamd on this machine (Debian: clamav-daemon)")
    # a socket's path has to be short, and those of tests are not
    with tempfile.TemporaryDirectory(prefix="clamd") as directory, a_real_clamd(Path(directory)) as found:
        yield found


@pytest.fixture
def scanner(address: str) -> Scanner:
    return Scanner(address, Breakers(Settings(environment={})), deadline=timedelta(seconds=10))


@pytest.mark.parametrize("content", [an_image(), b"", b"x", os.urandom(300_000)])
async def test_a_clean_file_is_clean(scanner: Scanner, content: bytes) -> None:
    found = await scanner.scan(stream(content))
    assert found.signature is None
    assert found.engine.startswith("ClamAV ")


@pytest.mark.parametrize("before", [b"", an_image(), bytes(200_000)])
async def test_the_test_virus_is_found_wherever_it_stands(scanner: Scanner, before: bytes) -> None:
    found = await scanner.scan(stream(before + EICAR, size=1000))
    assert found.signature is not None
    assert found.signature.startswith("Eicar-Test-")


async def test_a_stream_over_the_limit_is_refused_and_not_tried_again(scanner: Scanner) -> None:
    with pytest.raises(Rejected) as refused:
        await scanner.scan(stream(bytes(4 * MOST)))
    assert refused.value.code == TOO_LARGE
    assert (await scanner.scan(stream(b"x"))).signature is None


async def test_the_real_one_looks_into_archives() -> None:
    if CLAMD is None:
        pytest.skip("there is no clamd on this machine (Debian: clamav-daemon)")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("letter.txt", EICAR)
    assert EICAR not in packed.getvalue()
    with tempfile.TemporaryDirectory(prefix="clamd") as directory, a_real_clamd(Path(directory)) as found:
        scanner = Scanner(found, Breakers(Settings(environment={})), deadline=timedelta(seconds=10))
        assert (await scanner.scan(stream(packed.getvalue()))).signature is not None
    with pytest.raises(Transient):  # and one that is gone is no clean file
        await scanner.scan(stream(b"x"))
