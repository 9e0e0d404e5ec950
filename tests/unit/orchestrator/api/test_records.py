"""Jobs, packages and history, through the verbs; and that verbs reach all that changes things."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from deb_orchestrator.cli import connection as options
from deb_orchestrator.cli import group
from deb_orchestrator.services import history, hosts, suites
from deb_orchestrator.services.hub import Principal
from debcore.hub import record_client
from debcore.hub.client import Client, HubClient
from debcore.hub.credential import Credential
from debcore.hub.model import PREFIX
from debcore.hub.suites import RuleAsk
from tests.contract.hub.calling import InProcess
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, make_dsc, only

Call = Callable[..., Result]
#: Of one who is not the farm's admin.
ADA = Principal(name="ada", scope="admin")


class Recording(InProcess):
    """Keeps what was called."""

    def __init__(self, app: TestClient, seen: list[tuple[str, str]]) -> None:
        super().__init__(app)
        self._seen = seen

    def call(self, method: str, path: str, **more: Any) -> Any:
        self._seen.append((method, path))
        return super().call(method, path, **more)

    def fetch(self, path: str, to: Path, **_: Any) -> None:
        to.write_bytes(self.call("GET", path).body)

    def close(self) -> None:
        """The application goes on."""


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def call(admin: TestClient, monkeypatch: pytest.MonkeyPatch, seen: list[tuple[str, str]]) -> Call:
    def of(kind: type[Client], _credential: Credential) -> Client:
        made = kind("http://127.0.0.1:1")
        made.http = Recording(admin, seen)  # type: ignore[assignment]
        return made

    monkeypatch.setattr(options, "find_credential", lambda **_: Credential("http://127.0.0.1:1", "x"))
    monkeypatch.setattr(HubClient, "of", classmethod(of))
    monkeypatch.setattr(Client, "of", classmethod(of))
    return lambda *words: CliRunner().invoke(group, list(words))


def ask_json(call: Call, *words: str) -> Any:
    shown = call(*words, "--json")
    assert shown.exception is None, (shown.output, shown.exception)
    return json.loads(shown.stdout)


def test_jobs_are_listed_by_what_they_are_and_told_one_by_one(farm: Farm, call: Call) -> None:
    asked = farm.ask(farm.add_source("hello"))
    farm.ask(farm.add_source("later"))
    claimed = only(farm.claim())
    running = ask_json(call, "list-tasks", "--host", "builder")
    assert [(one["job"], one["kind"], one["state"], one["source"]) for one in running] == [
        (claimed.job, "build", "running", "hello")
    ]
    waiting = ask_json(call, "list-tasks", "--state", "queued", "--kind", "build", "--arch", "amd64")
    assert [one["source"] for one in waiting] == ["later"]
    assert ask_json(call, "list-tasks", "--owner", "nobody") == []
    assert ask_json(call, "list-tasks", "--arch", "riscv64") == []
    farm.finish_well(claimed)
    farm.settle()
    done = ask_json(call, "list-tasks", "--state", "succeeded", "--host", "builder")
    assert [(one["job"], one["build"]) for one in done] == [(claimed.job, asked.builds[0])]
    every = ask_json(call, "list-tasks", "--state", "all", "--limit", "1000")
    assert [one["job"] for one in every] == sorted((one["job"] for one in every), reverse=True)
    older = ask_json(call, "list-tasks", "--state", "all", "--before", str(every[0]["job"]), "--limit", "1")
    assert [one["job"] for one in older] == [every[1]["job"]]
    job = ask_json(call, "list-tasks", "--kind", "build")[0]["job"]
    hosts.set_disabled(farm.hub, ADMIN, "builder", "new disk")
    waits = call("task", str(job)).output
    assert "builder is disabled: new disk" in waits
    hosts.set_disabled(farm.hub, ADMIN, "builder", None)
    farm.finish_well(only(farm.claim()))
    shown = ask_json(call, "task", str(job))
    assert shown["why"] == []
    assert [(move["state"], move["agent"]) for move in shown["moves"]][-2:] == [
        ("running", "builder"), ("succeeded", "builder")
    ]  # fmt: skip
    gone = call("task", "99999")
    assert "there is no job 99999" in str(gone.exception)


def test_a_package_has_suites_builds_and_files(
    farm: Farm, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    farm.settle()
    again = farm.ask(farm.add_source("hello", "2.0"))
    farm.ask(farm.add_source("other"))
    found = ask_json(call, "package", "show", "hello")
    assert found["suites"] == [{"suite": SUITE, "version": "1.0"}]
    assert [(one["version"], one["state"]) for one in found["builds"]] == [
        ("2.0", "needs-build"), ("1.0", "installed")
    ]  # fmt: skip
    assert found["builds"][0]["id"] == again.builds[0]
    assert [one["source"] for one in ask_json(call, "package", "list")] == ["hello", "other"]
    held = [{"source": "hello", "version": "1.0", "suite": SUITE}]
    assert ask_json(call, "package", "list", "--suite", SUITE) == held
    assert ask_json(call, "package", "list", "el", "--suite", SUITE) == held
    assert ask_json(call, "package", "list", "x", "--suite", SUITE) == []
    assert call("package", "show", "hello").output.startswith(f"{SUITE}: 1.0\n")
    assert "there is no source nothing" in str(call("package", "show", "nothing").exception)
    assert ask_json(call, "search", "hel")["sources"] == ["hello"]
    assert "nothing found" in call("search", "nosuchthing").stderr
    check_downloads(call, str(found["builds"][1]["id"]), tmp_path)
    monkeypatch.setattr(record_client, "PAGE", 2)
    names = ["aa", "bb", "cc", "hello", "other"]
    farm.ask(*(farm.add_source(name) for name in names[:3]))
    assert [one["source"] for one in ask_json(call, "package", "list")] == names, "in pages"


def test_history_says_who(farm: Farm, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    farm.settle()
    suites.set_rule(farm.hub, ADA, SUITE, "evil", RuleAsk(state="blocked"))
    hosts.set_disabled(farm.hub, ADA, "builder", "new disk")

    def tell(*words: str) -> list[tuple[str, str]]:
        return [(one["type"], one["who"]) for one in ask_json(call, "history", *words)]

    of_suite = tell("--suite", SUITE)
    assert of_suite[0] == ("suite.rule", "ada")
    assert ("suite.changed", "test") in of_suite, "by the request that the build was for"
    of_package = ask_json(call, "history", "--package", "hello")
    assert {"build.requested", "build.complete", "suite.changed"} <= {one["type"] for one in of_package}
    assert {one["build"] for one in of_package} == {asked.builds[0]}
    assert tell("--package", "evil") == [("suite.rule", "ada")]
    assert tell("--host", "builder")[0] == ("agent.disabled", "ada")
    assert {type_ for type_, _ in tell("--who", "ada")} == {"suite.rule", "agent.disabled"}
    assert ("packages.needed", "test") in tell("--target", SUITE)
    assert {who for _, who in tell("--who", "test")} == {"test"}
    whole = tell("--suite", SUITE)
    monkeypatch.setattr(history, "WINDOW", 2)
    assert tell("--suite", SUITE) == whole, "what one call does not look at, the next does"
    assert tell("--suite", SUITE, "-n", "1") == whole[:1]
    numbers = [one["n"] for one in ask_json(call, "history", "--suite", SUITE)]
    assert tell("--suite", SUITE, "--before", str(numbers[1])) == whole[2:]
    assert "there is no suite nowhere" in str(call("history", "--suite", "nowhere").exception)


def check_downloads(call: Call, build: str, to: Path) -> None:
    paths = ask_json(call, "download", build, "--dir", str(to / "all"))
    names = sorted(Path(path).name for path in paths)
    assert any(name.endswith(".changes") for name in names)
    assert not any(name.endswith(".log") for name in names)
    (deb,) = ask_json(call, "download", build, "--kind", "deb", "--dir", str(to / "debs"))
    assert Path(deb).read_bytes().startswith(b"!<arch>")
    assert "is not for riscv64" in str(call("download", build, "-a", "riscv64").exception)


def test_builds_and_requests_are_cancelled_by_their_names(farm: Farm, call: Call) -> None:
    one, two = farm.ask(farm.add_source("hello")), farm.ask(farm.add_source("other"))
    assert call("cancel", str(one.builds[0]), "elsewhere").exit_code == 2
    assert farm.build(one.builds[0]).state == "needs-build", "nothing is done where a word means nothing"
    ended = ask_json(call, "cancel", str(one.builds[0]), two.id)
    assert [found["state"] for found in ended] == ["cancelled", "cancelled"]
    listed = ask_json(call, "list-requests", "--state", "cancelled")
    assert {found["id"] for found in listed} >= {two.id}


# --- every route that changes something has a verb -------------------------------------------------------------------

NAME = "trixie-local"
#: By route: a verb that calls it.
VERBS: dict[tuple[str, str], str] = {
    ("POST", "/agents/{name}/approve"): "agent approve builder",
    ("POST", "/agents/{name}/revoke"): "agent revoke builder",
    ("PUT", "/agents/{name}/disabled"): "disable-host builder --reason disk",
    ("PUT", "/agents/{name}/pool"): "host pool builder other",
    ("POST", "/blobs/{sha256}/hold"): "build {dsc} -t trixie-local --nowait",
    ("PUT", "/blobs/{sha256}"): "build {dsc} -t trixie-local --nowait",
    ("POST", "/builds/{id_}/cancel"): "cancel 1",
    ("POST", "/builds/{id_}/checks"): "check 1 --nowait",
    ("POST", "/builds/{id_}/resubmit"): "resubmit 1",
    ("DELETE", "/composes/{id_}"): "compose remove Site-13-20261127.0",
    ("PUT", "/farm/maintenance"): "host maintenance on --reason disk",
    ("POST", "/gc"): "gc",
    ("POST", "/login-links"): "login",
    ("PUT", "/pins/{name}"): "pin add keep --packages hello --suite trixie-local",
    ("DELETE", "/pins/{name}"): "pin remove keep",
    ("PUT", "/pools/{name}/trust"): "host trust default 3",
    ("POST", "/requests"): "build {dsc} -t trixie-local --nowait",
    ("POST", "/requests/{id_}/cancel"): "cancel " + "0" * 64,
    ("PUT", "/retention"): "retention --scratch 9",
    ("PUT", "/suites/{name}"): "suite make side --parent trixie-local",
    ("PUT", "/suites/{name}/archive"): "suite archive trixie-local --nothing",
    ("POST", "/suites/{name}/credentials"): "access apt trixie-local laptop",
    ("DELETE", "/suites/{name}/credentials/{credential}"): "access apt-revoke trixie-local laptop",
    ("POST", "/suites/{name}/keys"): "repo add-key trixie-local",
    ("DELETE", "/suites/{name}/keys/{fingerprint}"): "repo retire-key trixie-local " + "A" * 40,
    ("POST", "/suites/{name}/merge"): "suite merge trixie-local trixie-local",
    ("POST", "/suites/{name}/packages"): "suite add trixie-local hello",
    ("DELETE", "/suites/{name}/packages/{source}"): "suite remove trixie-local hello",
    ("PUT", "/suites/{name}/parents"): "suite inherit trixie-local --nothing",
    ("POST", "/suites/{name}/revert"): "suite revert trixie-local 1 --yes",
    ("PUT", "/suites/{name}/roles/{principal}"): "access grant trixie-local ada reader",
    ("DELETE", "/suites/{name}/roles/{principal}"): "access revoke trixie-local ada",
    ("PUT", "/suites/{name}/rules/{source}"): "suite block trixie-local evil",
    ("DELETE", "/suites/{name}/rules/{source}"): "suite unrule trixie-local evil",
    ("PUT", "/suites/{name}/settings"): "repo set trixie-local --xz",
    ("POST", "/suites/{name}/snapshots"): "repo snapshot trixie-local",
    ("POST", "/tasks/{number}/cancel"): "cancel --task 1",
    ("PUT", "/targets/{name}"): "target make trixie-local debian-trixie",
    ("POST", "/targets/{name}/binnmus"): "binnmu -t trixie-local -m why --nowait hello",
    ("PUT", "/targets/{name}/checks"): "target checks trixie-local --none",
    ("PUT", "/targets/{name}/distributions"): "target accept trixie-local trixie",
    ("PUT", "/targets/{name}/requires"): "target requires trixie-local --memory 100",
    ("POST", "/tokens"): "token make ada",
    ("DELETE", "/tokens/{id_}"): "token revoke 99",
    ("POST", "/triggers"): "trigger add hook https://example.org/x -t trixie-local",
    ("DELETE", "/triggers/{name}"): "trigger remove hook",
    ("POST", "/uploaders"): "uploader add ada {key}",
    ("DELETE", "/uploaders/{name}"): "uploader revoke ada",
    ("POST", "/webhooks"): "webhook add hook https://example.org/x",
    ("DELETE", "/webhooks/{name}"): "webhook remove hook",
    ("POST", "/webhooks/{name}/replay"): "webhook replay hook",
}
#: Routes that only programs call, and which.
PROGRAMS: dict[tuple[str, str], str] = {
    ("POST", "/agents"): "agent, signer",
    ("PUT", "/blobs/{sha256}/partial"): "all that uploads, for files above 16 MiB: test_partial_uploads.py",
    ("PUT", "/composes/{id_}"): "deb-bootc-compose build",
    ("POST", "/jobs/claim"): "agent, signer",
    ("POST", "/jobs/{job_id}/beat"): "agent, signer",
    ("POST", "/jobs/{job_id}/events"): "agent",
    ("POST", "/jobs/{job_id}/finish"): "agent, signer",
    ("PUT", "/jobs/{job_id}/log"): "agent",
    ("POST", "/jobs/{job_id}/release"): "agent, signer",
    ("POST", "/tasks"): "deb-bootc-compose build --farm ARCH",
    ("POST", "/triggers/{name}/look"): "trigger run",
    ("PUT", "/triggers/{name}/look"): "trigger run",
}


def list_changing(admin: TestClient) -> set[tuple[str, str]]:
    paths = admin.app.openapi()["paths"]  # type: ignore[attr-defined]
    return {
        (method.upper(), path.removeprefix(PREFIX))
        for path, verbs in paths.items()
        for method in verbs
        if method in ("post", "put", "patch", "delete")
    }


def test_all_that_changes_something_has_a_verb(
    farm: Farm,
    admin: TestClient,
    call: Call,
    seen: list[tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert list_changing(admin) == VERBS.keys() | PROGRAMS.keys(), "say which verb calls it, or which program"
    farm.ask(farm.add_source("first"))
    no_longer = SimpleNamespace(sleep=lambda _s: (_ for _ in ()).throw(RuntimeError("no hub works here")))
    monkeypatch.setattr("deb_orchestrator.cli.gc.time", no_longer)  # what waits for the hub's work does not here
    dsc, key = tmp_path / "hello_1.0.dsc", tmp_path / "key.asc"
    key.write_text("no key")
    for (method, path), words in VERBS.items():
        seen.clear()
        tarball = f"{method} {path}".encode()
        dsc.write_bytes(make_dsc("hello", "1.0", binaries=["hello"], tarball=tarball))
        (tmp_path / "hello_1.0.tar.xz").write_bytes(tarball)
        call(*words.format(dsc=dsc, key=key).split())
        pattern = re.compile(re.escape(PREFIX) + re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        assert [one for one in seen if one[0] == method and pattern.fullmatch(one[1])], (words, seen)
