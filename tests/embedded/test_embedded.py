"""The embedded server starts, keeps what was written, and is found by its address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from pgqueue.embedded import EmbeddedServer, embedded_url, is_embedded
from pgqueue.errors import EmbeddedFailed
from tests.embedded.processes import FAST, answers, is_gone, postmaster


def test_a_server_starts_answers_in_utf8_and_stops(folder: Path) -> None:
    with EmbeddedServer(folder, settings=FAST) as server:
        with psycopg.connect(server.url()) as connection:
            assert connection.info.encoding == "utf-8"
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        url = server.url()
    assert not answers(url)
    with pytest.raises(EmbeddedFailed, match="call start"):
        server.url()


@pytest.mark.parametrize("bin_dir", sorted(Path("/usr/lib/postgresql").glob("*/bin")), ids=str)
def test_another_postgresqls_programs_serve_as_well(folder: Path, bin_dir: Path) -> None:
    with EmbeddedServer(folder, bin_dir=bin_dir, settings=FAST) as server:
        assert answers(server.url())


def test_what_was_written_is_there_after_a_stop_and_after_a_crash(folder: Path) -> None:
    server = EmbeddedServer(folder, settings={"shared_buffers": "16MB"})
    server.start()
    for mode in ("fast", "immediate"):
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (mode text)")
            connection.execute("INSERT INTO kept VALUES (%s)", [mode])
        server.stop("fast" if mode == "fast" else "immediate")
        server.start()
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT mode FROM kept").fetchall() == [("fast",), ("immediate",)]
    server.stop()


def test_only_the_owner_can_enter_the_sockets_folder(folder: Path) -> None:
    with EmbeddedServer(folder, settings=FAST):
        assert (folder / "run").stat().st_mode & 0o777 == 0o700
        assert (folder / "data").stat().st_mode & 0o777 == 0o700


def test_a_server_that_died_alone_is_started_again(folder: Path) -> None:
    server = EmbeddedServer(folder, settings={"shared_buffers": "16MB"})
    server.start()
    pid = postmaster(folder)
    os.kill(pid, signal.SIGQUIT)
    assert is_gone(pid)
    server.stop()
    server.start()
    assert server.owned
    assert answers(server.url())
    server.stop()


def test_a_path_too_long_for_a_socket_gets_one_elsewhere_that_is_removed(folder: Path) -> None:
    deep = folder / ("long" * 25)
    # the parents must be open to the server's account as well when root runs this
    folder.chmod(0o755)
    with EmbeddedServer(deep, settings=FAST) as server:
        assert answers(server.url())
        sockets = server._sockets
        assert sockets is not None
        assert deep not in sockets.parents
    assert not sockets.exists()


def test_an_embedded_address_is_resolved_to_the_same_server_every_time(folder: Path) -> None:
    program = (
        "import sys; from pgqueue.embedded import embedded_url; "
        "a = embedded_url(f'embedded:{sys.argv[1]}'); b = embedded_url(sys.argv[1]); print(a == b, a)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], check=True, capture_output=True, text=True)
    same, url = done.stdout.split()
    assert same == "True"
    assert url.startswith("postgresql://postgres@/postgres?host=")
    assert not answers(url)


def test_an_embedded_address_without_a_path_lives_in_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".pgqueue").write_text("in the way")
    monkeypatch.chdir(folder)
    with pytest.raises(EmbeddedFailed, match=r"/\.pgqueue cannot be used"):
        embedded_url("embedded:")


def test_only_the_scheme_makes_an_address_embedded() -> None:
    assert is_embedded("embedded:")
    assert is_embedded("embedded:/var/lib/pgqueue")
    assert not is_embedded("postgresql://localhost/embedded:")
