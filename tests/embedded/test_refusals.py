"""What keeps the embedded server from starting is said in a sentence."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from pgqueue import embedded_binaries
from pgqueue.embedded import EmbeddedServer, temporary_server
from pgqueue.errors import EmbeddedFailed, EmbeddedMissing
from tests.embedded.processes import FAST, answers

if TYPE_CHECKING:
    from pathlib import Path


def test_a_misspelt_setting_is_reported_in_postgresqls_own_words(folder: Path) -> None:
    server = EmbeddedServer(folder, settings=FAST | {"shared_bufers": "1MB"})
    with pytest.raises(EmbeddedFailed, match="shared_bufers"):
        server.start()
    assert not server.owned


def test_somebody_elses_data_folder_is_left_alone(folder: Path) -> None:
    (folder / "PG_VERSION").write_text("18")
    with pytest.raises(EmbeddedFailed, match="choose an empty one"):
        EmbeddedServer(folder).start()


def test_a_file_in_place_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(EmbeddedFailed, match="cannot be used"):
        EmbeddedServer(folder / "file").start()


def test_without_the_wheel_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(embedded_binaries, "WHEEL", "a_wheel_that_nobody_installed")
    with pytest.raises(EmbeddedMissing, match=r"pgqueue-jobs\[embedded\]"):
        EmbeddedServer(folder).start()


def test_a_bin_dir_without_programs_is_refused(folder: Path) -> None:
    with pytest.raises(EmbeddedMissing, match="bin folder"):
        EmbeddedServer(folder, bin_dir=folder).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as somebody else")
def test_root_is_told_which_folder_the_servers_account_cannot_enter(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o700)
    with pytest.raises(EmbeddedFailed, match=rf"cannot enter {folder}"):
        EmbeddedServer(folder / "closed" / "data").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as somebody else")
def test_programs_that_the_servers_account_cannot_reach_are_copied_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    real = embedded_binaries._wheel_folder()
    for name in (real.name, f"{real.name}.libs"):
        (private / name).symlink_to(real.with_name(name))
    monkeypatch.setattr(embedded_binaries, "_wheel_folder", lambda: private / real.name)
    open_folder = folder / "open"
    open_folder.mkdir()
    open_folder.chmod(0o755)
    folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    with temporary_server(settings=FAST) as server:
        assert answers(server.url())
    with temporary_server(settings=FAST) as server:
        assert answers(server.url())
    assert len(list(open_folder.glob("pgqueue-postgres-*"))) == 1


def test_a_throwaway_server_lies_in_memory_only_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    account = embedded_binaries.server_account()
    monkeypatch.setattr(embedded_binaries, "MEMORY_NEEDED", 1)
    in_memory = embedded_binaries.memory_folder(account)
    assert in_memory is None or in_memory.is_dir()
    monkeypatch.setattr(embedded_binaries, "MEMORY_NEEDED", 2**63)
    assert embedded_binaries.memory_folder(account) is None
