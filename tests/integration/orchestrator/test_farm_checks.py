"""Checks through hub, agent and the verbs, as processes; only deb-mock is a stand-in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_orchestrator.cli import group
from debcore.command import run
from debcore.hub.model import BuildState
from tests.integration.orchestrator.stack import PROGRAM, Stack, ask, client_of
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

Verb = Callable[..., str]


@pytest.fixture
def told(stack: Stack, tmp_path: Path) -> dict[str, str]:
    return stack.start_ready("up", "--state", tmp_path / "state")[1]


@pytest.fixture
def verb(told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Verb:
    """Runs a verb and gives what it prints; *status* is the one that it must end with."""
    monkeypatch.setenv("DEBOOTC_HUB", told["url"])
    monkeypatch.setenv("DEBOOTC_TOKEN_FILE", told["token_file"])

    def call(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(group, list(words), standalone_mode=False)
        assert (done.return_value or 0) == status, done.output
        assert done.exception is None, done.output
        return done.output

    return call


def test_a_gate_is_set_refuses_is_lifted_and_lets_pass(told: dict[str, str], verb: Verb, tmp_path: Path) -> None:
    assert verb("target", "checks", SUITE) == f"target {SUITE} checks nothing\n"
    said = verb("target", "checks", SUITE, "--check", "lintian,install", "--fail-on", "lintian:warning", "--gate")
    assert said == f"target {SUITE} checks lintian, install, fail on lintian:warning; a gate\n"
    with client_of(told) as client:
        asked = ask(client, tmp_path, "hello", "shoddy")
        failed = client.wait_request(asked.id, 180)
        builds = {build.source: build for build in map(client.build, failed.builds)}
        assert {name: build.state for name, build in builds.items()} == {
            "hello": BuildState.INSTALLED, "shoddy": BuildState.FAILED,
        }  # fmt: skip
        shoddy = builds["shoddy"].id
    shown = verb("show", str(shoddy))
    assert f"amd64: failed, asked for by target {SUITE}, on local" in shown
    assert "lintian: failed (1 error)\n    fatal: error: shoddy: no-copyright <i>\n" in shown
    assert "install: passed" in shown
    (gate,) = json.loads(verb("show", str(shoddy), "--json"))["checks"]
    assert (gate["state"], gate["reports"][0]["findings"][0]["tag"]) == ("failed", "no-copyright")
    assert verb("logs", str(shoddy), "--check", f"{gate['id']}/lintian") == "lintian of shoddy\n"
    verb("target", "checks", SUITE, "--check", "install", "--gate")
    again = verb("check", str(shoddy), "--gate")
    assert "amd64: passed" in again
    with client_of(told) as client:
        ready = client.wait_request(asked.id, 180)
        assert ready.state == "ready", ready.failures
        assert client.build(shoddy).state is BuildState.INSTALLED
    verb("target", "checks", SUITE, "--none")


def test_a_person_has_a_build_checked(told: dict[str, str], verb: Verb, tmp_path: Path) -> None:
    with client_of(told) as client:
        ready = client.wait_request(ask(client, tmp_path, "shoddy").id, 180)
        assert ready.state == "ready", ready.failures
    (build,) = ready.builds
    said = verb("check", str(build), "--check", "lintian,blhc", status=4)
    assert "no-copyright" in said
    assert "blhc: passed" in said
    found = json.loads(verb("check", str(build), "--check", "blhc", "--json"))
    assert [(one["state"], one["names"], one["gate"]) for one in found] == [("passed", ["blhc"], False)]
    with client_of(told) as client:
        assert client.build(build).state is BuildState.INSTALLED, "whatever was found"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_package_passes_the_gate_of_real_checks(stack: Stack, tmp_path: Path, store_dir: Path) -> None:
    os.environ["DEBOOTC_STORE"] = str(store_dir)
    state = tmp_path / "state"
    _, told = stack.start_ready("up", "--state", state, real=True)
    where = {"DEBOOTC_HUB": told["url"], "DEBOOTC_TOKEN_FILE": told["token_file"]}
    names = "lintian,blhc,install,upgrade"
    policy = tmp_path / "policy.toml"
    policy.write_text("[lintian]\nerror = 'warn'\n")  # of a rebuild in another's name lintian thinks ill
    plan: list[str | Path] = ["target", "checks", SUITE, "--check", names, "--policy", policy, "--gate"]
    run([*PROGRAM, *plan], extra_env=where)
    deb_mock = Path(PROGRAM[0]).with_name("deb-mock")
    made = run([deb_mock, "source", "hostname", "-r", "debian-trixie-amd64", "--append-version=+hub1",
                "--resultdir", tmp_path, "--json"])  # fmt: skip
    done = run([*PROGRAM, "build", json.loads(made.text)["dsc"], "--json"], extra_env=where, check=False)
    assert done.status == 0, (done.text, (state / "agent.log").read_text())
    with client_of(told) as client:
        (build,) = client.builds()
        (gate,) = client.build(build.id).checks
    assert {report.name: report.outcome for report in gate.reports} == dict.fromkeys(names.split(","), "passed")
    assert {finding.action for finding in gate.reports[0].findings if finding.level == "error"} == {"warn"}
    assert build.state is BuildState.INSTALLED
