from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from domain.gateways.vault import SealBroken, Tokens, Vault
from domain.models import new_id
from domain.settings import DomainSettings
from tests.domain.world import TOKEN

if TYPE_CHECKING:
    from tests.domain.world import World


def a_vault(*keys: str) -> Vault:
    return Vault(keys or (Fernet.generate_key().decode(),), fingerprint_key="a key for the tests")


def test_what_is_sealed_for_an_account_opens_for_it() -> None:
    vault, account = a_vault(), new_id()
    assert vault.open(account, vault.seal(account, Tokens("a", "r")).blob) == Tokens("a", "r")


def test_a_blob_copied_to_another_account_does_not_open() -> None:
    vault = a_vault()
    blob = vault.seal(new_id(), Tokens("a")).blob
    with pytest.raises(SealBroken, match="another account"):
        vault.open(new_id(), blob)


def test_an_old_key_still_opens_and_the_new_one_seals() -> None:
    old, new, account = Fernet.generate_key().decode(), Fernet.generate_key().decode(), new_id()
    sealed = a_vault(old).seal(account, Tokens("a"))
    both = a_vault(new, old)
    assert both.open(account, sealed.blob) == Tokens("a")
    assert both.seal(account, Tokens("a")).kid != sealed.kid
    with pytest.raises(SealBroken, match="no key of ours"):
        a_vault(new).open(account, sealed.blob)


def test_tokens_are_not_printed() -> None:
    vault = a_vault()
    assert "secret" not in f"{Tokens('secret', 'secret')!r} {vault.seal(new_id(), Tokens('secret'))!r}"


@pytest.mark.anyio
async def test_no_table_holds_a_token_in_clear(world: World) -> None:
    world.network.faults.set("unauthorized")
    await world.schedule()
    await world.work()
    tables = await world.rows(
        """SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
           WHERE schemaname IN ('smm', 'pgqueue')"""
    )
    assert len(tables) > 15
    for table in tables:
        found = await world.rows(f"SELECT FROM {table.name} t WHERE strpos(t::text, :token) > 0", token=TOKEN)
        assert not found, table.name


def test_settings_name_every_fault_and_print_no_secret() -> None:
    key = Fernet.generate_key().decode()
    found = DomainSettings.from_environment({"SMM_FERNET_KEYS": key, "SMM_FINGERPRINT_KEY": "k" * 16, "PATH": "x"})
    assert found.keys == [key]
    assert key not in repr(found)
    with pytest.raises(ValidationError) as faults:
        DomainSettings.from_environment({"SMM_FERNET_KEYS": "short", "SMM_SMTP_PORT": "0", "SMM_SMPT_HOST": "x"})
    assert {fault["loc"][0] for fault in faults.value.errors()} == {
        "fernet_keys",
        "fingerprint_key",
        "smtp_port",
        "smpt_host",
    }
    assert "Fernet.generate_key" in str(faults.value)
