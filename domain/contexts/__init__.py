"""The use cases of each context, put together from what is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from domain.gateways.breakers import Breakers
    from domain.gateways.storage import Storage
    from domain.gateways.vault import Vault
    from domain.settings import DomainSettings
    from domain.unit_of_work import UnitsOfWork


@dataclass(frozen=True, slots=True)
class Parts:
    """What every context is made of; opened once for each process."""

    units: UnitsOfWork
    vault: Vault
    http: httpx.AsyncClient
    """For services that the operator named."""
    outside: httpx.AsyncClient
    """For servers that users named: it goes to public hosts alone."""
    breakers: Breakers
    configuration: DomainSettings
    storage: Storage
