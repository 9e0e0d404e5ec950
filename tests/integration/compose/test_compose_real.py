"""Real composes: killed at each task and resumed, made again elsewhere, on a disk that is full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import productmd.composeinfo
import productmd.images
import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status, list_composes
from deb_bootc_compose.journal import read_journal, read_results
from deb_bootc_compose.lock import load_lock
from debcore.command import run
from debcore.errors import CommandFailed
from tests.integration.compose.world import MANIFEST, Composer

pytestmark = pytest.mark.root

#: Every task of the manifest, in the order in which they are killed.
VICTIMS = ("lock", "tree.server.amd64", "commit.server.amd64", "replay.server.amd64", "metadata", "publish")


def find_compose(target: Path) -> ComposeDirectory:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for path in sorted(target.glob("Test-13-*")):
            if (path / "logs/manifest-resolved.json").exists():
                return ComposeDirectory(path)
        time.sleep(0.05)
    raise AssertionError("no compose directory appeared")


def count_starts(compose: ComposeDirectory, task: str) -> int:
    """How often *task* was started: whoever looks now and then does not see a short task while it runs."""
    if not compose.journal_path.exists():
        return 0
    events = read_journal(compose.journal_path)
    return sum(e.type == "task.started" and e.data["task"] == task for e in events)


def await_end_of_tasks(compose: ComposeDirectory) -> None:
    end = time.monotonic() + 120
    while processes_of(compose):
        assert time.monotonic() < end, "a task outlived its compose"
        time.sleep(0.05)


def finished(compose: ComposeDirectory) -> list[str]:
    return [e.data["task"] for e in read_journal(compose.journal_path) if e.type == "task.finished"]


def processes_of(compose: ComposeDirectory) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(compose.path) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def killed(composer: Composer, tmp_path_factory: pytest.TempPathFactory) -> ComposeDirectory:
    """A compose that was killed at each of VICTIMS and resumed each time, and then finished."""
    target = tmp_path_factory.mktemp("composes")
    log = target / "log"
    process = composer.start("build", composer.manifest, "--target", target, log=log)
    compose = find_compose(target)
    before = 0
    for number, victim in enumerate(VICTIMS):
        end = time.monotonic() + 900
        while count_starts(compose, victim) <= before:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, f"{victim} did not start"
            time.sleep(0.01)
        time.sleep(0.4)  # to be in the midst of it, where it is not a short one
        process.kill()
        process.wait()
        await_end_of_tasks(compose)
        if victim in VICTIMS[-2:] and compose.status() is Status.FINISHED:
            return compose  # the last ones were quicker than we
        assert compose.status() is Status.STARTED, f"killed at {victim} ({number})"
        assert not compose.is_running()
        before = sum(count_starts(compose, one) for one in VICTIMS[number + 1 : number + 2])
        process = composer.start("resume", compose.path, log=log)
    assert process.wait(timeout=900) == 0, log.read_text()
    return compose


def test_a_compose_killed_at_every_task_finishes_without_repeating_what_was_done(killed: ComposeDirectory) -> None:
    assert killed.status() is Status.FINISHED
    done = finished(killed)
    twice = {task for task in done if done.count(task) > 1} - {"metadata", "publish"}
    assert not twice, "these had finished and were done again"


def test_a_finished_compose_is_not_resumed(composer: Composer, killed: ComposeDirectory) -> None:
    refusal = composer.refuse("resume", killed.path)
    assert refusal.exit_status == 3
    assert "never changed" in refusal.output


def test_its_metadata_is_what_others_load(killed: ComposeDirectory) -> None:
    info = productmd.composeinfo.ComposeInfo()
    info.load(str(killed.metadata / "composeinfo.json"))
    assert info.compose.id == killed.id
    assert info.compose.type == "test"
    images = productmd.images.Images()
    images.load(str(killed.metadata / "images.json"))
    kinds = {image.type for image in images.images["Server"]["amd64"]}
    assert kinds == {"raw", "bootable-container"}
    debs = json.loads((killed.metadata / "debs.json").read_text())["payload"]["debs"]["server"]["amd64"]
    assert any(name.startswith("ostree_") for name in debs)


def test_its_checksums_hold(killed: ComposeDirectory) -> None:
    lines = (killed.output / "SHA256SUMS").read_text().splitlines()
    assert any(line.endswith(".raw") for line in lines)
    small = "".join(f"{line}\n" for line in lines if not line.endswith(".raw"))  # 2 GiB take their time
    run(["sha256sum", "--check", "--strict", "--quiet", "-"], cwd=killed.output, stdin=small.encode())


def test_what_was_published_is_named(killed: ComposeDirectory) -> None:
    index = json.loads((killed.output / "server/amd64/oci/index.json").read_text())
    names = [one["annotations"]["org.opencontainers.image.ref.name"] for one in index["manifests"]]
    assert names == ["13", "latest"]
    assert (killed.path.parent / "latest-Test-13").resolve() == killed.path


def test_what_would_be_done_is_told_and_only_what_is_asked_for_is_done(
    composer: Composer, killed: ComposeDirectory
) -> None:
    target = killed.path.parent
    before = {path.name for path in target.iterdir()}
    said = composer.call("build", composer.manifest, "--target", target, "--dry-run", "--json")
    told = {one["task"]: (one["verdict"], one["reason"]) for one in json.loads(said.stdout)}
    assert told["lock"][0] == "asks"
    assert told["image.server.amd64"] == ("taken", f"as in {killed.path.name}")
    assert {path.name for path in target.iterdir()} == before, "a dry run makes nothing"
    asked = ("--only", "lint", "--from", "lint")
    done = json.loads(composer.call("build", composer.manifest, "--target", target, *asked, "--json").stdout)
    made = ComposeDirectory(Path(done["path"]))
    assert done["status"] == "FINISHED_INCOMPLETE"
    assert [task["task"] for task in done["tasks"]] == ["lock", "tree.server.amd64", "lint.server.amd64"]
    assert "the same as in" not in (made.logs / "lint.server.amd64.log").read_text()
    shutil.rmtree(made.path)


def test_people_can_ask_about_it(composer: Composer, killed: ComposeDirectory, tmp_path: Path) -> None:
    """What is in it and why, what differs from a lock without one package, what would be removed, and its page."""
    (chain,) = json.loads(composer.call("why", "openssh-server", killed.path, "--json").stdout)
    assert chain["package"] == "openssh-server"
    assert "openssh-server" in composer.call("why", "openssh-server", killed.path).text
    sizes = json.loads(composer.call("why-size", killed.path, "--json").stdout)["server.amd64"]
    assert len(sizes) == sum(len(one.installed) for one in load_lock(killed.lock_path).variants.values())
    assert "MB installed" in composer.call("why-size", killed.path, "--top", "3").text

    lock = json.loads(killed.lock_path.read_text())
    (variant,) = lock["variants"].values()
    gone = next(one for one in variant["archive"] if one["name"] == "openssh-server")
    variant["archive"].remove(gone)
    (tmp_path / "before.lock.json").write_text(json.dumps(lock))
    sides = (tmp_path / "before.lock.json", killed.path)
    told = json.loads(composer.call("diff", *sides, "--json").stdout)
    (change,) = told["variants"]["server.amd64"]["packages"]
    assert (change["change"], change["source"], change["after"]) == ("added", "openssh", gone["version"])
    assert f"openssh {gone['version']} (openssh-server)" in composer.call("diff", *sides).text
    composer.call("diff", *sides, "--html", tmp_path / "diff.html")
    assert "openssh-server" in (tmp_path / "diff.html").read_text()

    page = (killed.path / "report.html").read_text()
    assert page.count("<svg") >= 3
    assert "openssh-server" in page
    kept = json.loads(composer.call("gc", "--target", killed.path.parent, "--keep", "0", "-n", "--json").stdout)
    assert {one["id"]: one["removed"] for one in kept["composes"]}[killed.id] is False, "it is the latest"


def test_status_tells_each_task(composer: Composer, killed: ComposeDirectory) -> None:
    told = json.loads(composer.call("status", killed.path, "--json").stdout)
    assert told["status"] == "FINISHED"
    assert {task["state"] for task in told["tasks"]} == {"finished"}


def outputs(document: dict[str, Any]) -> dict[str, Any]:
    made = document["outputs"]
    return {
        "commit": made["commit.server.amd64"]["commit"],
        "container": made["container.server.amd64"]["digest"],
        "raw": made["image.server.amd64"]["images"][0]["sha256"],
    }


def test_the_same_again_is_linked_and_gives_the_same(composer: Composer, killed: ComposeDirectory) -> None:
    done = composer.call("build", composer.manifest, "--target", killed.path.parent, "--json")
    document = json.loads(done.stdout)
    assert document["status"] == "FINISHED"
    taken = [line for line in done.stderr.decode().splitlines() if "the same as in" in line]
    assert len(taken) == 5, "lint, commit, container, replay and image"
    made = {e.data["task"]: e for e in read_journal(killed.journal_path) if e.type == "task.finished"}
    assert outputs(document)["commit"] == made["commit.server.amd64"].data["result"]["value"]["commit"]


def test_two_composes_of_one_lock_are_identical(composer: Composer, killed: ComposeDirectory, tmp_path: Path) -> None:
    elsewhere = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "DEBOOTC_STORE": os.environ["DEBOOTC_STORE"]}
    done = composer.call(
        "build",
        composer.manifest,
        "--target",
        tmp_path,
        "--locked",
        killed.lock_path,
        "--json",
        "--skip",
        "replay",
        env=elsewhere,
    )
    made = {e.data["task"]: e for e in read_journal(killed.journal_path) if e.type == "task.finished"}
    first = {
        "commit": made["commit.server.amd64"].data["result"]["value"]["commit"],
        "container": made["container.server.amd64"].data["result"]["value"]["digest"],
        "raw": made["image.server.amd64"].data["result"]["value"]["images"][0]["sha256"],
    }
    assert outputs(json.loads(done.stdout)) == first


@pytest.mark.slow
def test_a_changed_tree_follows_the_compose_before(composer: Composer, killed: ComposeDirectory) -> None:
    before = read_results(killed.journal_path)["commit.server.amd64"]
    assert before["parent"] is None
    last = list_composes(killed.path.parent)[-1]  # the same commit, if the same was composed again
    composer.write("Changed\n", name="motd")
    done = composer.call("build", composer.manifest, "--target", killed.path.parent, "--until", "commit", "--json")
    compose = ComposeDirectory(Path(json.loads(done.stdout)["path"]))
    made = read_results(compose.journal_path)["commit.server.amd64"]
    assert made["parent"] == before["commit"]
    parents = load_lock(compose.lock_path).parents
    assert parents is not None
    assert parents["server.amd64"].compose == last.id
    assert parents["server.amd64"].digest == read_results(killed.journal_path)["container.server.amd64"]["digest"]

    anew = composer.call(
        "build", composer.manifest, "--target", killed.path.parent, "--until", "commit", "--locked", compose.lock_path,
    )  # fmt: skip
    newest = list_composes(killed.path.parent)[-1]
    assert newest.path != compose.path, anew.stderr
    assert read_results(newest.journal_path)["commit.server.amd64"]["commit"] == made["commit"]

    other = {"DEBOOTC_SIGNING_KEY": str(killed.path.parent / "another-key.asc")}
    arguments = ("build", composer.manifest, "--target", killed.path.parent, "--until", "commit", "--previous")
    composer.write("Changed again\n", name="motd")
    with pytest.raises(CommandFailed) as caught:
        composer.call(*arguments, killed.path, env=other)
    assert "cannot be followed" in caught.value.output
    assert "--previous none" in caught.value.output
    composer.call(*arguments, "none", env=other)
    newest = list_composes(killed.path.parent)[-1]
    assert read_results(newest.journal_path)["commit.server.amd64"]["parent"] is None


def test_a_lock_of_another_manifest_is_refused(composer: Composer, killed: ComposeDirectory, tmp_path: Path) -> None:
    composer.write(MANIFEST.replace("    tests: [lint]", "    packages: [nftables]\n    tests: [lint]"))
    try:
        refusal = composer.refuse("build", composer.manifest, "--target", tmp_path, "--locked", killed.lock_path)
    finally:
        composer.write(MANIFEST)
    assert "differ for server.amd64: nftables" in refusal.output
    assert not list(tmp_path.iterdir())


def test_a_package_that_does_not_exist_is_named_with_its_line(composer: Composer, tmp_path: Path) -> None:
    composer.write(MANIFEST.replace("    tests: [lint]", "    packages: [no-such-package]\n    tests: [lint]"))
    try:
        refusal = composer.refuse("build", composer.manifest, "--target", tmp_path)
    finally:
        composer.write(MANIFEST)
    assert refusal.exit_status == 5
    assert "no-such-package stands in" in refusal.output
    assert "compose.yaml:15" in refusal.output
    assert find_compose(tmp_path).status() is Status.DOOMED


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_terminates_and_resume_is_named(composer: Composer, tmp_path: Path, signum: signal.Signals) -> None:
    log = tmp_path / "log"
    process = composer.start("build", composer.manifest, "--target", tmp_path / "out", log=log)
    compose = find_compose(tmp_path / "out")
    while not count_starts(compose, "lock"):
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    process.send_signal(signum)
    assert process.wait(timeout=180) == 128 + signum
    assert compose.status() is Status.TERMINATED
    assert f"resume {compose.path}" in log.read_text()
    await_end_of_tasks(compose)


def test_a_full_disk_is_said_and_resume_goes_on(composer: Composer, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", small])
    try:
        refusal = composer.refuse("build", composer.manifest, "--target", small, "--until", "commit")
        assert refusal.exit_status == 7
        assert "no space left" in refusal.output
        compose = find_compose(small)
        assert f"resume {compose.path}" in refusal.output
        run(["mount", "-o", "remount,size=2g", small])
        composer.call("resume", compose.path)
        assert compose.status() is Status.FINISHED_INCOMPLETE
    finally:
        run(["umount", small])
