"""`sbuild` by name: the cases of sbuild's own test of its unshare mode, its statuses, and a log that reads as its."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from deb_mock.config import choose
from deb_mock.roots import find_sources
from debcore.command import run
from debcore.job import Result, Status, load_lock, read_events
from debroot.bootstrap import open_root
from debroot.store import Store
from tests.integration.deb_mock.conftest import make_native
from tests.integration.deb_mock.oracle import build_with_sbuild, write_chroot

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

#: What sbuild's own test gives it each time, but for its signatures.
ALWAYS = (
    "--no-source-only-changes", "--bd-uninstallable-explainer=apt", "--chroot-mode=unshare", "--no-run-lintian",
    "--no-run-autopkgtest", "--no-apt-upgrade", "--no-apt-distupgrade", "--no-apt-update",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(store_dir: Path) -> Store:
    return Store.open(store_dir)


@pytest.fixture(scope="module")
def minimal(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with nothing but apt in it, as a tar file."""
    choice = choose(preset="trixie", arch="amd64")
    layer = open_root(store, sources=find_sources(choice), suite="trixie", arch="amd64", variant="apt", max_age=3600)
    tarball = tmp_path_factory.mktemp("chroot") / "chroot.tar"
    write_chroot(store, layer, tarball)
    return tarball


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_records(place: Path) -> tuple[Result, set[str]]:
    """The result beside what sbuild leaves, all of whose files are there with their hashes, and their kinds."""
    path = next(place.glob("*.result.json"))
    result = Result.model_validate_json(path.read_bytes())
    assert {o.path: o.sha256 for o in result.outputs} == {o.path: digest(place / o.path) for o in result.outputs}
    events = list(read_events(place / path.name.replace("result.json", "events.jsonl")))
    assert events[-1].type == "build.complete"
    return result, {output.kind for output in result.outputs}


def parse_log(text: str) -> dict[str, Any]:
    """As programs that watch sbuild read it: boxes of 80 columns, keys of the head, keys of the summary."""
    lines = text.splitlines()
    titles = [
        line[2:-33].strip()
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False)
        if re.fullmatch(r"\+[=-]{78}\+", before) and before == after and line.startswith("| ") and line.endswith(" |")
    ]
    head = text[: text.index("| Fetch source files")]
    tail = text[text.rindex("| Summary") :]
    fields = {name: dict(re.findall(r"^([A-Z][A-Za-z -]+): (.*)$", part, re.M)) for name, part in
              (("head", head), ("summary", tail))}  # fmt: skip
    return {"titles": titles, "first": lines[0], "tail": tail, **fields}


SECTIONS = [
    "Fetch source files", "Install package build dependencies", "Check architectures", "Build environment", "Build",
    "Changes", "Buildinfo", "Package contents", "Cleanup", "Summary",
]  # fmt: skip


@pytest.mark.slow  # a root of its own, six builds and sbuild itself
def test_the_cases_of_sbuilds_own_test(sbuild: Any, store: Store, minimal: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    tree = make_native(work)
    options = (*ALWAYS, f"--chroot={minimal}", f"--pre-build-commands=echo %SBUILD_DSC > {work}/named")

    def check(*, source: bool, case: str) -> None:
        """What each case must leave, equal to the first; then all of it goes."""
        found = {name: digest(work / name) for name in ("tiny_1.0_all.deb", "tiny_1.0.tar.xz")}
        assert found == expected, case
        changes = (work / "tiny_1.0_amd64.changes").read_text()
        assert ("tiny_1.0.dsc" in changes) is source, case
        assert (work / "named").read_text() == f"{work}/tiny_1.0.dsc\n", case
        for path in work.glob("tiny_1.0[._]*"):
            if path.name != "tiny_1.0.txt":
                path.unlink()
        (work / "named").unlink()

    def make_dsc() -> None:
        done = sbuild(*options, "--no-arch-all", "--no-arch-any", "--source", "--nolog", cwd=tree)
        assert done.status == 0, done.text + done.stderr.decode()
        for path in work.glob("tiny_1.0_source.*"):
            path.unlink()

    make_dsc()
    debian = tmp_path / "debian"
    debian.mkdir()
    for name in ("tiny_1.0.dsc", "tiny_1.0.tar.xz"):
        shutil.copy(work / name, debian)
    expected = build_with_sbuild(store, debian / "tiny_1.0.dsc", tmp_path)
    expected["tiny_1.0.tar.xz"] = digest(debian / "tiny_1.0.tar.xz")
    for case, words, cwd, source in (
        ("directory, with source", ["--source"], tree, True),
        ("directory", [], tree, False),
        (".dsc, with source", ["--source", "-d", "trixie", "tiny_1.0.dsc"], work, True),
        (".dsc", ["-d", "trixie", "tiny_1.0.dsc"], work, False),
    ):
        if cwd == work:
            make_dsc()
        done = sbuild(*options, "--nolog", *words, cwd=cwd)
        assert done.status == 0, case + done.text + done.stderr.decode()
        assert parse_log(done.text)["summary"]["Status"] == "successful"
        check(source=source, case=case)
    make_dsc()
    (work / "tiny_1.0.dsc").rename(work / "tiny_1.0.txt")
    (work / "tiny_1.0.dsc").symlink_to("tiny_1.0.txt")
    assert sbuild(*options, "-d", "trixie", "tiny_1.0.dsc", cwd=work).status == 0
    check(source=False, case="a .dsc that is a link")
    assert sorted(path.name for path in work.iterdir()) == ["tiny-1.0", "tiny_1.0.txt"]


def test_the_log_reads_as_sbuilds(sbuild: Any, sources: Any, tmp_path: Path) -> None:
    done = sbuild("-d", "trixie", "--profiles=nocheck", sources("hostname"), cwd=tmp_path)
    assert done.status == 0, done.stderr.decode()
    assert done.text == ""
    link = next(tmp_path.glob("hostname_*_amd64.build"))
    assert re.fullmatch(r"hostname_.*_amd64-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.build", str(link.readlink()))
    log = parse_log(link.read_text())
    assert re.fullmatch(r"sbuild \(deb-mock\) \S+ \(\d\d \w+ \d{4}\) on \S+", log["first"])
    assert log["titles"][0].startswith("hostname ")
    assert [title for title in log["titles"] if title in SECTIONS] == SECTIONS
    assert (log["head"]["Package"], log["head"]["Distribution"]) == ("hostname", "trixie")
    assert (log["summary"]["Status"], log["summary"]["Build Profiles"]) == ("successful", "nocheck")
    assert "Fail-Stage" not in log["summary"]
    keys = re.findall(r"^([A-Z][A-Za-z -]+): ", log["tail"], re.M)
    assert keys == sorted(keys)
    result, kinds = load_records(tmp_path)
    assert (result.status, kinds) == (Status.BUILT, {"deb", "changes", "buildinfo", "log", "lock", "file"})
    locked = load_lock(next(tmp_path.glob("hostname_*_amd64.lock.json")))
    assert locked.sha256 == result.lock_sha256
    assert re.search(
        r"^Finished at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\nBuild needed \d\d:\d\d:\d\d, \d+k disk", log["tail"], re.M
    )


#: sbuild's word → what the record says.
RECORDED = {"attempted": "failed", "given-back": "deps", "skipped": "invalid", "failed": "invalid"}


@pytest.mark.parametrize(
    ("words", "options", "status", "word", "stage"),
    [
        ({"build": "false"}, ("--build-failed-commands=ls %p",), 2, "attempted", "build"),
        ({"fields": ["Build-Depends: no-such-package"]}, (), 3, "given-back", "install-deps"),
        ({}, ("--no-arch-all",), 0, "skipped", "arch-check"),
        ({}, ("--starting-build-commands=false",), 1, "failed", "run-starting-build-commands"),
    ],
    ids=["build", "dependencies", "nothing to build", "command"],
)
def test_how_a_build_ended_is_told_as_sbuild_tells_it(
    sbuild: Any, tool: Any, tmp_path: Path, words: Any, options: Any, status: int, word: str, stage: str
) -> None:
    tree = make_native(tmp_path / "in", **words)
    run(["dpkg-source", "-b", tree], cwd=tree.parent)
    done = sbuild("-d", "trixie", "--build-dir", tmp_path, *options, tree.parent / "tiny_1.0.dsc", cwd=tmp_path)
    assert done.status == status, done.text + done.stderr.decode()
    log = parse_log((tmp_path / "tiny_1.0_amd64.build").read_text())
    assert (log["summary"]["Status"], log["summary"]["Fail-Stage"]) == (word, stage)
    assert ("Generic Build Failed Commands" in log["titles"]) is (stage == "build")
    assert not list(tmp_path.glob("*.deb"))
    assert not list(tmp_path.glob(".sbuild-*"))
    result, kinds = load_records(tmp_path)
    assert (result.status.value, kinds - {"lock"}) == (RECORDED[word], {"log"})
    assert ("lock" in kinds) is (stage not in ("install-deps", "arch-check"))


def test_commands_and_extra_packages_reach_the_root(sbuild: Any, tmp_path: Path) -> None:
    assert sbuild("--nolog", cwd=make_native(tmp_path / "one", name="needed")).status == 0
    tree = make_native(tmp_path / "two", build="cat /usr/share/needed/data /marked; pwd")
    done = sbuild(
        "-v", "-d", "trixie", "--add-depends=needed", f"--extra-package={tmp_path}/one", "--build-path=/build/other",
        "--dsc-dir=named", "--chroot-setup-commands=echo setup > /marked",
        f"--post-build-commands=cp %SBUILD_CHANGES {tmp_path}/seen.changes", cwd=tree,
    )  # fmt: skip
    assert done.status == 0, done.text + done.stderr.decode()
    assert "\ndata\nsetup\n" in done.text
    assert "\n/build/other/named\n" in done.text
    assert digest(tmp_path / "seen.changes") == digest(tmp_path / "two" / "tiny_1.0_amd64.changes")


def test_a_tarball_that_is_no_root(sbuild: Any, tmp_path: Path) -> None:
    tree = make_native(tmp_path)
    run(["dpkg-source", "-b", tree], cwd=tmp_path)
    (tmp_path / "chroot.tar").write_bytes(b"no tar file")
    done = sbuild(f"--chroot={tmp_path}/chroot.tar", "--nolog", "tiny_1.0.dsc", cwd=tmp_path)
    assert (done.status, "is no tar file" in done.stderr.decode()) == (1, True)
    run(["tar", "-C", tmp_path, "-cf", tmp_path / "chroot.tar", tree.name])
    done = sbuild(f"--chroot={tmp_path}/chroot.tar", "--nolog", "tiny_1.0.dsc", cwd=tmp_path)
    assert (done.status, "holds no Debian root" in done.stderr.decode()) == (1, True)
    assert parse_log(done.text)["summary"]["Fail-Stage"] == "create-session"


def test_lintian_has_the_last_word_in_the_summary_and_none_on_the_status(
    sbuild: Any, sources: Any, native: Any, tmp_path: Path
) -> None:
    for what, word, tag in (
        (sources("hostname"), "warn", "W: hostname"),
        (native(), "fail", "E: tiny: no-copyright-file"),
    ):
        done = sbuild("-d", "trixie", "--run-lintian", "--lintian-opts=--info", "--nolog", what, cwd=tmp_path)
        assert done.status == 0, done.text + done.stderr.decode()
        log = parse_log(done.text)
        assert log["titles"][-3:] == ["Post Build", "Cleanup", "Summary"]
        assert (log["summary"]["Status"], log["summary"]["Lintian"]) == ("successful", word), done.text
        assert f"\n{tag}" in done.text
    assert "\nlintian\n-------\n" in done.text
    assert re.search(r"^N:\s+.*copyright", done.text, re.M)  # --info explains
    assert not list(tmp_path.glob("*lintian*"))
