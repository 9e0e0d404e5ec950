"""apt and a private suite: refused without a credential, served with one from auth.conf.d; builders need none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from debcore.command import Completed, run
from debcore.hub.credential import load_token
from debcore.hub.door_client import DoorClient
from debcore.hub.model import RequestState
from debcore.hub.repo_client import RepoClient
from debcore.hub.repos import SnapshotAsk, SuiteSettings
from debcore.hub.snippet import apt_snippet
from tests.integration.orchestrator.stack import PROGRAM, Stack, ask, client_of, wait_for
from tests.unit.orchestrator.services.farm import SUITE


@dataclass
class Apt:
    """An apt of its own directories, which knows one source and no other package."""

    root: Path

    @classmethod
    def make(cls, root: Path, source: str) -> Apt:
        places = ("etc/sources.list.d", "etc/auth.conf.d", "etc/preferences.d", "etc/apt.conf.d")
        for name in (*places, "state/lists/partial", "cache/archives/partial"):
            (root / name).mkdir(parents=True)
        (root / "etc/sources.list.d/hub.sources").write_text(source)
        (root / "status").touch()
        return cls(root)

    def run(self, *words: str) -> Completed:
        options = {
            "Dir::Etc": self.root / "etc", "Dir::State": self.root / "state", "Dir::Cache": self.root / "cache",
            "Dir::State::status": self.root / "status", "APT::Sandbox::User": "root", "APT::Architecture": "amd64",
            "APT::Update::Error-Mode": "any", "Acquire::Retries": "0",
        }  # fmt: skip
        argv: list[str | Path] = ["apt-get", "-q"]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        return run([*argv, *words], check=False, cwd=self.root, extra_env={"LC_ALL": "C.UTF-8"})


@pytest.mark.parametrize("kind", ["suite", "snapshot"])
def test_apt_reads_a_private_suite_with_its_credential_only(stack: Stack, tmp_path: Path, kind: str) -> None:
    _, up = stack.start_ready("up", "--state", tmp_path / "state")
    token = load_token(Path(up["token_file"]))
    with client_of(up) as client, RepoClient(up["url"], token) as repo, DoorClient(up["url"], token) as door:
        repo.set_settings(SUITE, SuiteSettings(private=True))
        made = ask(client, tmp_path, "hello", "world", depends={"world": "hello"})
        ended = client.wait_request(made.id, 120)
        assert ended.state is RequestState.READY, (ended, "the builder reads the private suite")
        suite = client.suite(SUITE)
        assert suite.private
        if kind == "snapshot":
            name = repo.make_snapshot(SUITE, SnapshotAsk()).name
            wait_for(lambda: all(one.live for one in repo.snapshots(SUITE)), why="the snapshot")
            suite = suite.model_copy(update={"name": name})
        apt = Apt.make(tmp_path / "apt", apt_snippet(suite))
        refused = apt.run("update")
        assert refused.status != 0
        assert b"401" in refused.stdout + refused.stderr
        env = {"DEBOOTC_HUB": up["url"], "DEBOOTC_TOKEN_FILE": up["token_file"]}
        printed = run([*PROGRAM, "access", "apt", SUITE, "web"], extra_env=env).text
        (apt.root / "etc/auth.conf.d/hub.conf").write_text(printed)
        updated = apt.run("update")
        assert updated.status == 0, updated.stderr
        for words in (("download", "hello"), ("source", "--download-only", "hello")):
            done = apt.run(*words)
            assert done.status == 0, done.stderr
        assert {path.name for path in apt.root.glob("hello*")} >= {"hello_1.0_amd64.deb", "hello_1.0.dsc"}
        door.remove_credential(SUITE, "web")
        again = apt.run("update")
        assert again.status != 0
        assert b"401" in again.stdout + again.stderr
