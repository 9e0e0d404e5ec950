"""The API on a farm, called in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from deb_orchestrator.services import people
from deb_orchestrator.web.api.app import make_app
from debcore.hub.model import TokenAsk
from tests.unit.orchestrator.services.conftest import farm, ground
from tests.unit.orchestrator.services.farm import ADMIN, Farm

__all__ = ["farm", "ground"]

Call = Callable[..., TestClient]


@pytest.fixture
def anybody(farm: Farm) -> Iterator[TestClient]:
    """Without a token."""
    with TestClient(make_app(farm.hub), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def admin(farm: Farm, anybody: TestClient) -> TestClient:
    return with_token(anybody, make_token(farm, "admin"))


@pytest.fixture
def client(farm: Farm, anybody: TestClient) -> TestClient:
    return with_token(anybody, make_token(farm, "client"))


def make_token(farm: Farm, scope: str) -> str:
    made = people.make_token(farm.hub, ADMIN, TokenAsk.model_validate({"name": scope, "scope": scope}))
    assert made.secret is not None
    return made.secret


def with_token(client: TestClient, token: str) -> TestClient:
    """Another client of the same application (not started again)."""
    return TestClient(client.app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"})
