"""What a task says to its compose, heard although telling people of it fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from deb_bootc_compose.runner import Runner
from debcore.errors import LimitHit

SAYS = [{"text": "the first words"}, "no JSON", {"error": {"message": "why it failed", "hint": "", "status": 7}}]


def test_why_a_task_failed_is_heard_though_its_words_cannot_be_kept(tmp_path: Path) -> None:
    lines = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in SAYS)
    script = f"import sys; sys.stdout.write({lines + chr(10)!r}); sys.stdout.flush(); sys.exit(1)"
    heard: list[str] = []

    def progress(task: str, text: str) -> None:
        heard.append(f"{task}: {text}")
        raise LimitHit("no space left")

    (tmp_path / "logs").mkdir()
    with Runner(
        tmp_path, tmp_path / "logs", command=lambda _: [sys.executable, "-c", script], progress=progress
    ) as runner:
        runner.start("lock", {})
        with pytest.raises(LimitHit):
            runner.wait()
        (ended,) = runner.wait()
    assert heard == ["lock: the first words"]
    assert ended.error["message"] == "why it failed"
