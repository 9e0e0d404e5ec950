"""The three programs as processes: one `deb-orchestrator up` for all acceptance tests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from debcore.command import run, spawn
from tests.acceptance.world import BIN, Hub, Tool


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory, store_dir: Path) -> Iterator[Hub]:
    state = tmp_path_factory.mktemp("hub", numbered=True)
    ready, tell = os.pipe()
    life, hold = os.pipe()
    argv: list[str | Path] = [BIN / "deb-orchestrator", "up", "--state", state, "--port", "0"]
    argv += ["--ready-fd", str(tell), "--lifetime-fd", str(life)]
    with (state / "up.log").open("wb") as log:
        process = spawn(
            argv, stdout=log, stderr=log, pass_fds=(tell, life), extra_env={"DEBOOTC_STORE": str(store_dir)}
        )
    os.close(tell)
    os.close(life)
    with os.fdopen(ready) as lines:
        line = lines.readline()
    if not line:
        process.wait()
        pytest.fail(f"the hub did not start:\n{(state / 'up.log').read_text()}")
    told = json.loads(line)
    yield Hub(told["url"], Path(told["token_file"]), state, process.pid)
    os.close(hold)
    assert process.wait(timeout=300) in (0, 143), (state / "up.log").read_text()


@pytest.fixture(scope="session")
def tool() -> Tool:
    def call(*argv: str | Path, check: bool = True, cwd: Path | None = None) -> str:
        return run([BIN / argv[0], *argv[1:]], check=check, cwd=cwd).text

    return call
