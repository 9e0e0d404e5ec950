"""Events as CloudEvents: every type of event has a schema."""

from __future__ import annotations

import re
from pathlib import Path

from debcore.hub import envelope

SRC = Path(__file__).resolve().parents[4] / "src/deb_orchestrator"


def test_every_type_of_event_has_a_schema() -> None:
    """One that is missing is to be added to DETAILS of debcore/hub/envelope.py."""
    texts = "\n".join(path.read_text() for path in SRC.rglob("*.py"))
    found = set(re.findall(r'NewEvent\(\s*type="([a-z.]+)"', texts)) | set(
        re.findall(r'_event\((?:db, )?"([a-z.]+)"', texts)
    )
    assert len(found) > 15
    assert found <= envelope.DETAILS.keys()
