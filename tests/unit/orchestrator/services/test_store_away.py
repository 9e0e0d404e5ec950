"""The hub's own jobs while the store of artifacts cannot be reached: they wait, and cost no try."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from deb_orchestrator.store.tables import job
from debcore.blobs import StoreAway
from tests.unit.orchestrator.services.farm import Farm


def test_an_import_outlives_many_failures_of_the_store(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    request = farm.ask(farm.add_source("hello"))
    claimed = farm.claim()
    assert claimed is not None
    farm.finish_well(claimed)
    whole = farm.hub.blobs.open

    def away(sha256: str) -> None:
        raise StoreAway("the artifact store s3://x cannot be reached")

    monkeypatch.setattr(farm.hub.blobs, "open", away)
    for _ in range(20):
        taken = farm.worker.claim()
        assert taken is not None
        assert (taken.kind, farm.worker.do(taken)) == ("import", False)
    with farm.hub.db.read() as db:
        row = db.execute(select(job).where(job.c.kind == "import")).one()
    assert (row.state, row.losses) == ("queued", 0)
    monkeypatch.setattr(farm.hub.blobs, "open", whole)
    farm.settle()
    assert farm.request(request.id).state == "ready"
