"""The gates on a real image: it updates over HTTP and goes back, and an update that does not boot is left again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deb_bootc_compose.boot.run import CONTROL
from deb_bootc_compose.gate.judge import GateReport, judge_fallback, judge_update
from deb_bootc_compose.gate.machine import URL, run_plan
from deb_bootc_compose.gate.serve import Breakage, serving
from deb_bootc_compose.ostree import REPO, Repository, sign_commit
from deb_bootc_compose.tree.make import find_tools
from deb_bootc_compose.tree.outside import run_tools
from debroot.sandbox import Bind
from debroot.store import Store

if TYPE_CHECKING:
    from deb_bootc_compose.disk.image import Disk
    from tests.integration.disk.conftest import Committed

pytestmark = pytest.mark.root

REF = "test/server"
TIMESTAMP = 1_760_000_000
PATIENCE = 900.0

#: $1: the commit before; standard input goes into the tree at $2.
CHANGE = """set -eu; umask 022; mkdir -p "/run/o/$(dirname "$2")"; cat > "/run/o/$2"
[ -z "$3" ] || { mkdir -p "/run/o/$(dirname "$3")"; ln -s "$4" "/run/o/$3"; }
exec ostree --repo=/repo commit --orphan --bind-ref=test/server --parent="$1" --timestamp=@1760000010 --bootable \
    --add-metadata-string=version=13.2 --tree=ref="$1" --tree=dir=/run/o
"""
FAILING = b"[Service]\nType=oneshot\nExecStart=/bin/false\n"
SYSTEM = "usr/lib/systemd/system"


@pytest.fixture(scope="module")
def repository(store: Store, committed: Committed) -> Repository:
    return Repository(store, find_tools(store, "trixie"), committed.repo)


def change(repository: Repository, committed: Committed, path: str, content: bytes, link: tuple[str, str]) -> str:
    """A signed commit that follows *committed* and has a file and (if it is not empty) a link more."""
    argv = ["sh", "-c", CHANGE, "sh", committed.checksum, path, *link]
    binds = [Bind(source=repository.path, target=REPO, readonly=False)]
    made = run_tools(repository.store, repository.tools, argv, binds=binds, stdin=content).decode().strip()
    sign_commit(repository, made, committed.signer)
    return made


def update(
    repository: Repository, committed: Committed, disk: Disk, after: str, place: Path, *, rollback: bool
) -> GateReport:  # fmt: skip
    plan = ("update", "rollback", "end") if rollback else ("update", "end")
    with serving(
        repository, commit=after, ref=REF, signer=committed.signer, timestamp=TIMESTAMP + 10, kver="",
        wanted=("update", "unsigned"),
    ) as served:  # fmt: skip
        environment = {
            "URL": f"{URL}/update", "UNSIGNED": f"{URL}/unsigned", "REF": REF, "FROM": committed.checksum,
            "BROKEN": "", "SIGNED": "true",
        }  # fmt: skip
        boots = run_plan(
            repository.store, disk.path, plan=plan, environment=environment, key=committed.key, binds=served.binds,
            console_log=place / "console", patience=PATIENCE, say=print,
        )  # fmt: skip
    (place / "said").write_text("\n".join(boot.text for boot in boots))
    return judge_update(boots, before=committed.checksum, after=after, signed=True, rollback=rollback)


def test_it_updates_keeps_what_is_ours_and_goes_back(
    repository: Repository, committed: Committed, disk: Disk, tmp_path: Path
) -> None:
    after = change(repository, committed, "usr/share/new", b"new\n", ("", ""))
    report = update(repository, committed, disk, after, tmp_path, rollback=True)
    print(report.model_dump_json(indent=1, exclude={"boots"}))
    assert report.failed == ()
    assert {"unsigned-refused", "new-boots", "rollback", "old-boots", "disk-stays (new)", "disk-stays (old)"} <= {
        check.name for check in report.checks
    }
    assert "deb-bootc.trial=" in report.boots[1].cmdline, "the new system was on trial"
    assert [step.name for step in report.steps] == [
        "boot 1", "unsigned", "upgrade", "boot 2", "rollback", "boot 3",
    ]  # fmt: skip


@pytest.mark.slow
def test_an_update_with_a_failed_unit_does_not_pass(
    repository: Repository, committed: Committed, disk: Disk, tmp_path: Path
) -> None:
    link = (f"{SYSTEM}/multi-user.target.wants/bad.service", "../bad.service")
    after = change(repository, committed, f"{SYSTEM}/bad.service", FAILING, link)
    report = update(repository, committed, disk, after, tmp_path, rollback=False)
    (failed,) = report.failed
    assert failed.name == "new-boots"
    assert "unit bad.service failed" in failed.detail


@pytest.mark.slow
@pytest.mark.parametrize("breakage", ["initramfs", "health"])
def test_a_broken_update_is_left_again(
    repository: Repository, committed: Committed, disk: Disk, tmp_path: Path, breakage: Breakage
) -> None:
    with serving(
        repository, commit=committed.checksum, ref=REF, signer=committed.signer, timestamp=TIMESTAMP,
        kver=committed.kver, wanted=("broken",), breakage=breakage,
    ) as served:  # fmt: skip
        broken = served.commits["broken"]
        environment = {
            "URL": f"{URL}/broken", "UNSIGNED": "", "REF": REF, "FROM": committed.checksum, "BROKEN": broken,
            "SIGNED": "true",
        }  # fmt: skip
        boots = run_plan(
            repository.store, disk.path, plan=("update", "end"), environment=environment, key=committed.key,
            binds=served.binds, console_log=tmp_path / "console", patience=PATIENCE, say=print,
        )  # fmt: skip
    console = CONTROL.sub("", (tmp_path / "console").read_text("utf-8", "replace"))
    report = judge_fallback(
        boots, before=committed.checksum, broken=broken, console=console, panics=breakage == "initramfs"
    )
    print(report.model_dump_json(indent=1, exclude={"boots"}))
    assert report.failed == ()
