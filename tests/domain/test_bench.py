"""What the measuring of a purge measures, with few rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.fernet import Fernet

from domain.bench import measure

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_purge_is_measured_to_its_last_row(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SMM_FERNET_KEYS", Fernet.generate_key().decode())
    monkeypatch.setenv("SMM_FINGERPRINT_KEY", "a key for the tests")
    monkeypatch.setenv("SMM_STORAGE_DIRECTORY", str(tmp_path))
    purge = measure(database_url, rows=2_500)
    assert (purge.left, purge.gone) == (0, 0)
    assert (purge.transactions, purge.most_rows) == (3, 1_000)
    assert 0 < purge.longest_lock_milliseconds < purge.seconds * 1000
