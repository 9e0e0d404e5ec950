"""Every verb loads, and says what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from deb_orchestrator.cli import VERBS, group
from deb_orchestrator.cli import connection as options
from debcore.hub.client import HubClient
from debcore.hub.credential import Credential
from tests.contract.hub.calling import InProcess
from tests.unit.orchestrator.services.farm import SUITE, Farm

Call = Callable[..., Result]
#: Verbs that run until they are stopped; they write to files and to `--ready-fd`.
ENDLESS = {("up",), ("hub",), ("signer",)}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_explains_itself(verb: str) -> None:
    shown = CliRunner().invoke(group, [verb, "--help"])
    assert shown.exit_code == 0, shown.output
    assert "Usage:" in shown.output


def test_the_list_of_verbs_loads_none_of_them() -> None:
    shown = CliRunner().invoke(group, ["--help"])
    assert all(verb in shown.output for verb in VERBS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cross", "arm64"), "is not ARCH=BUILDER"),
        (("--cross", "arm64=amd64"), "add --arch arm64"),
        (("--vary", "umask"), "needs --verify-reproducible"),
    ],
)
def test_a_target_that_means_nothing_is_refused_before_the_hub_is_asked(words: tuple[str, ...], message: str) -> None:
    line = ["target", "make", "--hub", "http://localhost:1", "port", "debian-trixie", *words]
    shown = CliRunner().invoke(group, line)
    assert (shown.exit_code, message in shown.output) == (2, True), shown.output


def walk(
    verb: click.Command, context: click.Context, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All verbs that do something, with their words."""
    if not isinstance(verb, click.Group):
        yield path, verb
        return
    for name in verb.list_commands(context):
        found = verb.get_command(context, name)
        assert found is not None
        yield from walk(found, context, (*path, name))


def test_every_verb_can_answer_in_json() -> None:
    without = {
        path
        for path, verb in walk(group, click.Context(group), ())
        if not any("--json" in param.opts for param in verb.params)
    }
    assert without == ENDLESS


@pytest.fixture
def call(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> Call:
    """call(word…): a verb on the hub of this process."""

    def of(_kind: type[HubClient], _credential: Credential) -> HubClient:
        made = HubClient("http://127.0.0.1:1")
        made.http = InProcess(admin)  # type: ignore[assignment]
        made.http.close = lambda: None  # type: ignore[method-assign]
        return made

    monkeypatch.setattr(options, "find_credential", lambda **_: Credential("http://127.0.0.1:1", "x"))
    monkeypatch.setattr(HubClient, "of", classmethod(of))
    return lambda *words: CliRunner().invoke(group, list(words))


def test_waiting_ends_with_what_is_waited_for(farm: Farm, call: Call) -> None:
    asked = farm.ask(farm.add_source("hello"))
    late = call("wait", "1", "--timeout", "0")
    assert "is still open" in str(late.exception)
    farm.finish_well(farm.claim())  # type: ignore[arg-type]  # there is one
    farm.settle()
    ended = call("wait", "1", asked.id, "--json")
    assert [one["state"] for one in json.loads(ended.output)] == ["ready"], "both words name one request"
    served = call("wait-repo", SUITE, "--json")
    assert json.loads(served.output)["event"] == max(one.n for one in farm.events() if one.type == "suite.changed")
    never = call("wait-repo", SUITE, "--event", "99999", "--timeout", "0")
    assert "not yet 99999" in str(never.exception)


def test_the_api_can_be_called(farm: Farm, call: Call) -> None:
    farm.ask(farm.add_source("hello"))
    found = call("call", "GET", "/builds?source=hello")
    assert [one["source"] for one in json.loads(found.output)] == ["hello"]
    changed = call("call", "PUT", "/api/v1/agents/builder/disabled", "-d", '{"reason": "new disk"}')
    assert json.loads(changed.output)["disabled"] == "new disk"
    wrong = call("call", "PUT", "/agents/builder/disabled", "-d", "{")
    assert (wrong.exit_code, "is no JSON" in wrong.output) == (2, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete(shell: str) -> None:
    shown = CliRunner().invoke(group, ["completion", shell, "--json"])
    assert "deb-orchestrator" in json.loads(shown.output)["script"]


def test_the_words_for_those_who_come_from_koji_are_there() -> None:
    page = Path(__file__).parents[4].joinpath("docs/howto/from-koji.md").read_text()
    verbs = {path for path, _ in walk(group, click.Context(group), ())} | {("agent",)}
    named = [words.split() for words in re.findall(r"`deb-orchestrator ([a-z-]+(?: [a-z-]+)?)", page)]
    assert len(named) > 40
    unknown = [words for words in named if tuple(words) not in verbs and (words[0],) not in verbs]
    assert not unknown
