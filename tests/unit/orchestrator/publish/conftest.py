"""An empty hub on SQLite, and records of packages without any .deb behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_orchestrator.store.engine import Database
from debcore.blobs import BlobStore
from debcore.openpgp import Signer, generate_key
from tests.unit.orchestrator.empty import open_empty


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with open_empty(tmp_path / "hub.sqlite") as database:
        yield database


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return generate_key(tmp_path_factory.mktemp("keys") / "test.key", "Test archive")
