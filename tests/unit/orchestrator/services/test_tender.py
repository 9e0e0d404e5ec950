"""What a hub that runs on and on clears away."""

from __future__ import annotations

import os
import threading
import time

import pytest

from deb_orchestrator.services import work
from tests.unit.orchestrator.services.farm import Farm


def test_uploads_that_nobody_goes_on_with_are_removed(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "SWEEP_S", 0.0)
    incoming = farm.hub.blobs.root / "incoming"
    incoming.mkdir(exist_ok=True)
    old, new = incoming / "part-old", incoming / "part-new"
    for path, age in ((old, 2 * 86400), (new, 0)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))
    tender, stop = work.Tender(farm.hub), threading.Event()
    thread = threading.Thread(target=tender.run, args=(stop,))
    thread.start()
    end = time.monotonic() + 60
    while old.exists() and time.monotonic() < end:
        time.sleep(0.01)
    stop.set()
    tender.wake()
    thread.join()
    assert not old.exists()
    assert new.exists()
