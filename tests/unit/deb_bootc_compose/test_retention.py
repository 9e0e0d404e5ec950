from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.cli import group
from deb_bootc_compose.directory import ComposeDirectory, list_composes
from deb_bootc_compose.retention import GOING, Candidate, Policy, judge, remove_compose
from debroot.idmap import find_idmap


def candidate(name: str, **changes: object) -> Candidate:
    known: dict[str, object] = {"finished": True, "running": False, "linked": False, "label": None}
    return Candidate(name, Path(name), **(known | changes))  # type: ignore[arg-type]


def gone(candidates: list[Candidate], policy: Policy) -> list[str]:
    return [verdict.candidate.id for verdict in judge(candidates, policy) if verdict.goes]


def test_the_newest_of_each_release_and_type_stay() -> None:
    names = ["server-13-20261101.n.0", "server-13-20261101.n.1", "server-13-20261102.0", "server-13-20261103.n.0"]
    composes = [candidate(name) for name in names]
    assert gone(composes, Policy(keep=2, failed=0)) == names[:1]
    assert gone(composes, Policy(keep=1, failed=0)) == names[:2]
    assert gone(composes, Policy(keep=0, failed=0)) == names


def test_failed_ones_are_counted_apart() -> None:
    composes = [candidate(f"server-13-2026110{day}.0", finished=day % 2 == 0) for day in range(1, 7)]
    assert gone(composes, Policy(keep=9, failed=1)) == ["server-13-20261101.0", "server-13-20261103.0"]


@pytest.mark.parametrize("reason", [{"running": True, "finished": False}, {"linked": True}, {"label": "RC-1.0"}])
def test_what_never_goes(reason: dict[str, object]) -> None:
    composes = [candidate("server-13-20261101.0", **reason), candidate("server-13-20261102.0")]
    assert gone(composes, Policy(keep=0, failed=0)) == ["server-13-20261102.0"]
    assert gone(composes, Policy(keep=1, failed=0)) == [], "it does not count"


def make_compose(target: Path, name: str, *, status: str = "FINISHED", label: str | None = None, age: int = 0) -> Path:
    path = target / name
    for part in ("compose", "logs", "work"):
        (path / part).mkdir(parents=True)
    (path / "COMPOSE_ID").write_text(name + "\n")
    (path / "STATUS").write_text(status + "\n")
    document = {"manifest": {"compose": {"compose": {"type": "production", "label": label}}}}
    (path / "logs/manifest-resolved.json").write_text(json.dumps(document))
    (path / "work/running").touch()
    os.utime(path / "COMPOSE_ID", (1_000_000 - age, 1_000_000 - age))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    target = tmp_path / "composes"
    for day in range(5):
        make_compose(target, f"server-13-2026110{day + 1}.0", age=100 - day)
    make_compose(target, "server-13-20261106.0", status="DOOMED", age=50)
    make_compose(target, "server-13-20261107.0", label="RC-1.0", age=40)
    make_compose(target, "server-13-20261108.0", status="what?", age=30)
    (target / "latest-server-13").symlink_to("server-13-20261101.0")
    return target


def ids(target: Path) -> list[str]:
    return [compose.path.name.removeprefix("server-13-202611") for compose in list_composes(target)]


def collect(target: Path, *words: str) -> dict[str, bool]:
    called = CliRunner().invoke(group, ["gc", "--target", str(target), "--json", *words])
    assert called.exception is None, called.output
    return {one["id"]: one["removed"] for one in json.loads(called.output)["composes"]}


def test_gc(target: Path) -> None:
    dry = collect(target, "--keep", "2", "--failed", "1", "--dry-run")
    assert len(ids(target)) == 8
    assert collect(target, "--keep", "2", "--failed", "1") == dry
    # The first is the latest, the seventh has a label; of the failed two the newer stays.
    assert ids(target) == ["01.0", "04.0", "05.0", "07.0", "08.0"]
    assert not [path for path in target.iterdir() if path.name.startswith(".")]
    shown = CliRunner().invoke(group, ["gc", "--target", str(target), "--keep", "1", "-n"]).output
    assert "server-13-20261104.0" in shown
    assert "would go  finished, number 2 of server-13; 1 are kept" in shown


MANIFEST = """\
schema: deb-bootc-compose/1
release: {name: Server, short: server, version: "13"}
suite: trixie
publish: {retention: {keep: 1, failed: 0}}
variants: {server: {arches: [amd64], ref: example/server}}
"""


def test_the_manifest_says_how_many_stay(target: Path) -> None:
    (target.parent / "compose.yaml").write_text(MANIFEST)
    assert collect(target, str(target.parent), "--keep", "9", "-n")["server-13-20261104.0"] is False
    assert collect(target, str(target.parent), "--failed", "9", "-n")["server-13-20261108.0"] is False
    collect(target, str(target.parent))
    assert ids(target) == ["01.0", "05.0", "07.0"]


def test_a_manifest_that_cannot_be_read_removes_nothing(target: Path) -> None:
    (target.parent / "compose.yaml").write_text(MANIFEST.replace("keep: 1", "keep: -1"))
    called = CliRunner().invoke(group, ["gc", str(target.parent)])
    assert called.exception is not None
    assert "compose.yaml:4" in str(called.exception)
    assert len(ids(target)) == 8


def test_what_runs_is_left_alone(target: Path) -> None:
    make_compose(target, "server-13-20261109.0", status="STARTED")
    with (target / "server-13-20261109.0/work/running").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        collect(target, "--keep", "0", "--failed", "0")
        assert ids(target) == ["01.0", "07.0", "09.0"]
    collect(target, "--keep", "0", "--failed", "0")
    assert ids(target) == ["01.0", "07.0"]


def test_one_that_failed_before_it_had_a_lock_file_does_not_run(target: Path) -> None:
    for status, runs in (("DOOMED", False), ("STARTED", True)):
        path = make_compose(target, f"server-13-2026111{int(runs)}.0", status=status)
        (path / "work/running").unlink()
        assert ComposeDirectory(path).is_running() is runs


def test_a_removal_that_was_killed_is_ended(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going = target / f"{GOING}server-13-20261101.0"
    (target / "server-13-20261103.0").rename(going)
    assert "03.0" not in ids(target)
    collect(target, "--keep", "9", "--dry-run")
    assert going.exists()
    collect(target, "--keep", "9")
    assert not going.exists()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("debroot.owned.remove_tree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_compose(target / "server-13-20261104.0", find_idmap())
    assert "04.0" not in ids(target)


def test_no_composes(tmp_path: Path) -> None:
    assert collect(tmp_path / "none") == {}
