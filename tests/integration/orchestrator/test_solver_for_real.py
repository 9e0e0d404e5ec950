"""The solver before dispatch as people meet it: `up`, Debian's archive below the suite, a build that must wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from debcore.command import run
from debcore.hub.model import BuildState
from tests.integration.orchestrator.stack import PROGRAM, Stack, ask, client_of, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(900), pytest.mark.slow]


def test_a_build_dependency_that_debian_does_not_have_takes_no_builder(
    stack: Stack, tmp_path: Path, store_dir: Path
) -> None:
    os.environ["DEBOOTC_STORE"] = str(store_dir)
    state = tmp_path / "state"
    _up, told = stack.start_ready("up", "--state", state, real=True)
    environment = {"DEBOOTC_HUB": told["url"], "DEBOOTC_TOKEN_FILE": told["token_file"]}
    shown = run([*PROGRAM, "suite", "archive", "trixie-local", "--release", "trixie"], extra_env=environment).text
    assert "trixie-security" in shown
    depends = {"hello": "debhelper-compat (= 13), nobody-has (>= 2) | nobody-else"}
    with client_of(told) as client:
        asked = ask(client, tmp_path, "hello", depends=depends)
        (build,) = asked.builds
        wait_for(lambda: client.build(build).state == BuildState.DEP_WAIT, timeout=600, why="the solver's word")
        assert client.request(asked.id).state == "failed"
        types = [event.type for event in client.events(request=asked.id)]
    assert types == ["packages.needed", "build.unmet", "packages.failed"], "no builder was asked"
    said = run([*PROGRAM, "why", str(build)], extra_env=environment).text
    clause = "the build dependencies need nobody-has (>= 2) | nobody-else, which no package is or provides"
    assert clause in said
    assert "debhelper" not in said.replace("hello", ""), "what Debian has is not missing"
    assert "it is tried again when trixie-local gets" in said
    assert "attempt 1" not in (state / "agent.log").read_text()
