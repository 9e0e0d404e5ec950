"""kill -9 at each stage of a build and at each step of an installation: nothing stays, and the next command works.

The victim is deb-mock itself, the launcher of its sandbox, or the sandbox's init. What had been started must end by
itself (it becomes a child of the test, which waits for it), mounts go with it, the next gc finds what is left on disk,
there is no result.json that says more than was done, and the same build then succeeds in the same directory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from debcore.job import JobDirectory, Status
from debcore.openpgp import generate_key
from tests.integration.deb_mock.conftest import PRESET, make_native
from tests.integration.deb_mock.mishaps import Killed, check_clean, clone_store, make_deb, run_killed

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

FRESH = ("--set", "archive.max_age=1h")
STAGES = ("source", "root", "resolve", "install", "pack", "unpack", "build", "results", "verify", "sign",
          "sign-provenance", "check-blhc")  # fmt: skip


@pytest.fixture(scope="module")
def own(tool: Any, cache_dir: Path) -> Iterator[Any]:
    """deb-mock with a store that only these tests use."""
    place = cache_dir / f"killed-{os.getpid()}"
    yield clone_store(tool, place)
    shutil.rmtree(place)


@pytest.fixture
def killed_build(own: Any, tmp_path: Path) -> Callable[..., Killed]:
    """killed_build(MOMENT): a build that needs a package for which there is no layer yet, into tmp_path/out."""
    debs = [make_deb(tmp_path, "tiny-dep", f"1.{os.urandom(4).hex()}")]
    tree = make_native(tmp_path, fields=["Build-Depends: tiny-dep"], build="cat /usr/share/tiny-dep/version; sleep 0.2")

    def start(moment: str, *words: str, again: bool = True) -> Killed:
        """*again*: with the package of the last time, for which there may be a layer by now."""
        if not again:
            debs.append(make_deb(tmp_path, "tiny-dep", f"1.{os.urandom(4).hex()}"))
        out, deb = str(tmp_path / "out"), debs[-1]
        line = ("build", "-r", PRESET, str(tree), "--resultdir", out, "--extra-package", str(deb), *FRESH, *words)
        return run_killed(own, moment, *line, log=tmp_path / "said")

    return start


def check_next(own: Any, killed_build: Callable[..., Killed], out: Path, *words: str) -> None:
    """The store is clean, and the same build works; its results are what result.json says."""
    check_clean(own)
    done = killed_build("none", *words)
    assert done.status == 0, done.said
    result = JobDirectory(out).find_result()
    assert result is not None
    assert result.status is Status.BUILT
    for output in result.outputs:
        assert hashlib.sha256((out / output.path).read_bytes()).hexdigest() == output.sha256
    assert {path.name for path in out.iterdir()} == {
        *(output.path for output in result.outputs), "result.json", "events.jsonl",
    }  # fmt: skip


def test_a_killed_build_leaves_nothing(own: Any, killed_build: Callable[..., Killed], tmp_path: Path) -> None:
    assert killed_build("stage install 0.4 tool").status == -9
    assert JobDirectory(tmp_path / "out").find_result() is None
    check_next(own, killed_build, tmp_path / "out")


@pytest.mark.parametrize(
    ("stage", "victim"),
    [
        ("build", "init"),
        *(
            pytest.param(stage, victim, marks=pytest.mark.slow)
            for stage in ("resolve", "install", "pack", "unpack", "build", "results")
            for victim in ("launcher", "init")
            if (stage, victim) != ("build", "init")
        ),
    ],
)
def test_a_killed_sandbox_is_the_hosts_fault(
    own: Any, killed_build: Callable[..., Killed], tmp_path: Path, stage: str, victim: str
) -> None:
    done = killed_build(f"stage {stage} 0 {victim}")
    assert done.status == 6, done.said
    result = JobDirectory(tmp_path / "out").find_result()
    assert result is not None
    assert result.failure is not None
    assert (result.status, result.failure.stage) == (Status.HOST, stage)
    assert "killed from outside" in done.said
    assert "[" in done.said  # the next step
    assert [output.kind for output in result.outputs if output.kind in ("deb", "changes")] == []
    check_next(own, killed_build, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0, 0.02, 0.3])
@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_is_killed(
    own: Any, killed_build: Callable[..., Killed], tmp_path: Path, stage: str, delay: float
) -> None:
    generate_key(tmp_path / "key", "Signer <signer@example.org>")
    signer = json.dumps(["sqop", "inline-sign", "--as=clearsigned", str(tmp_path / "key")])
    sealer = json.dumps(["sqop", "sign", str(tmp_path / "key")])
    words = ["--sign", "--set", f"sign.command={signer}", "--set", f"sign.provenance={sealer}", "--check", "blhc"]
    if stage == "verify":
        words += ["--verify-reproducible", "--vary", "aslr"]
    done = killed_build(f"stage {stage} {delay} tool", *words)
    if delay == 0:
        assert done.status == -9, done.said
    if done.status == -9:
        assert JobDirectory(tmp_path / "out").find_result() is None
    else:  # the moment came too late
        assert done.status == 0, done.said
    check_next(own, killed_build, tmp_path / "out", *words)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_each_step_of_a_build_is_killed(
    own: Any, killed_build: Callable[..., Killed], tmp_path: Path, first: int
) -> None:
    """Before every change that deb-mock itself makes to a file system, and before every program that it starts; every
    fourth of them in each test."""
    assert killed_build("none").status == 0  # the first one in a store makes more steps
    counted = killed_build("count", again=False)
    assert counted.status == 0, counted.said
    steps = int(counted.said.rpartition("steps: ")[2])
    assert steps > 30
    for step in range(first, steps + 1, 4):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        done = killed_build(f"step {step}", again=False)
        assert done.status == -9 or step > steps - 9, f"{step} of {steps}: {done.said}"
        result = JobDirectory(tmp_path / "out").find_result()
        assert result is None or (result.status is Status.BUILT and step > steps - 12), f"{step} of {steps}: {result}"
        if step % 5 == 0:
            check_clean(own)
    check_next(own, killed_build, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0, 1, 4, 10])
def test_a_base_root_that_is_killed_is_made_again(tool: Any, cache_dir: Path, tmp_path: Path, delay: float) -> None:
    place = cache_dir / f"killed-base-{os.getpid()}"
    own = clone_store(tool, place, base=False, pool=True)
    try:
        tree = make_native(tmp_path)
        line = ("build", "-r", PRESET, str(tree), "--resultdir", str(tmp_path / "out"), *FRESH)
        assert run_killed(own, f"stage root {delay} tool", *line, log=tmp_path / "said").status == -9
        assert JobDirectory(tmp_path / "out").find_result() is None
        check_clean(own)
        assert len(list((place / "layers").iterdir())) == 1  # the tools root
        if delay == 10:
            assert own.build(tree, tmp_path / "out").status == 0
    finally:
        shutil.rmtree(place)


VERSION = ("sh", "-ec", "cat /usr/share/tiny-root/version; echo; dpkg-query -W -f '${Version} ${Status}' tiny-root; "
           "test -z \"$(dpkg --audit)\"")  # fmt: skip


def version_in(own: Any, root: str) -> int:
    """The version of tiny-root in the named root, by its file and by dpkg, which must agree."""
    done = own.run("run", "--root", root, "--as-root", "--", *VERSION)
    assert done.status == 0, done.stderr.decode()
    file, database, *state = done.text.split()
    assert (file, state) == (database, ["install", "ok", "installed"])
    return int(file)


@pytest.fixture(scope="module")
def play(own: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], tuple[str, ...]]:
    """play(N): the command that installs version N of tiny-root in the named root `play`, which has version 1."""
    place = tmp_path_factory.mktemp("debs")

    def line(version: int) -> tuple[str, ...]:
        deb = make_deb(place, "tiny-root", str(version), script="sleep 0.2")
        return ("install", "--root", "play", "-r", PRESET, *FRESH, str(deb))

    done = own.run(*line(1))
    assert done.status == 0, done.stderr.decode()
    return line


def check_named(own: Any, line: tuple[str, ...], step: int, versions: tuple[int, int], *, log: Path) -> int:
    """An installation that is killed before its step *step*: the root has one of *versions*, which is returned."""
    killed = run_killed(own, f"step {step}", *line, log=log)
    assert killed.status == -9, f"{step}: {killed.said}"
    version = version_in(own, "play")
    assert version in versions
    states = own.store / "roots" / "play" / "states"
    description = json.loads((states.parent / "meta.json").read_text())
    assert {path.name for path in states.iterdir()} == {*description["states"], description["top"]}
    assert [path.name for path in states.parent.glob(".*")] == []
    return version


def count_steps(own: Any, line: tuple[str, ...], log: Path) -> int:
    counted = run_killed(own, "count", *line, log=log)
    assert counted.status == 0, counted.said
    return int(counted.said.rpartition("steps: ")[2])


def test_an_installation_that_is_killed_leaves_a_named_root_old_or_new(
    own: Any, play: Callable[[int], tuple[str, ...]], tmp_path: Path
) -> None:
    steps = count_steps(own, play(10), tmp_path / "said")
    line = play(11)
    check_named(own, line, steps - 10, (10, 11), log=tmp_path / "said")
    done = own.run(*line)
    assert (done.status, version_in(own, "play")) == (0, 11), done.stderr.decode()
    check_clean(own)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_each_step_of_an_installation_is_killed(
    own: Any, play: Callable[[int], tuple[str, ...]], tmp_path: Path
) -> None:
    version, steps = 100, count_steps(own, play(100), tmp_path / "said")
    for step in range(1, steps):
        version = check_named(own, play(100 + step), step, (version, 100 + step), log=tmp_path / "said")
    check_clean(own)
    assert own.run(*play(1000)).status == 0
    assert version_in(own, "play") == 1000
