"""A disk made from a real commit: the same bytes twice, clean from outside, and it boots by its own boot loader."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deb_bootc_compose.boot.report import SPARE
from deb_bootc_compose.boot.run import ROOM, run_boot
from deb_bootc_compose.disk.bench import open_bench
from deb_bootc_compose.disk.check import check_disk
from deb_bootc_compose.disk.convert import make_image, make_qcow2
from deb_bootc_compose.disk.image import Disk, fill_root, make_disk
from deb_bootc_compose.disk.layout import Layout, make_identity
from debcore.errors import CommandFailed, ConfigError, LimitHit
from debroot.store import Store

if TYPE_CHECKING:
    from tests.integration.disk.conftest import Committed

pytestmark = pytest.mark.root

SIZE = 3 * 1024**3
TIMESTAMP = 1_760_000_000


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.slow
def test_it_is_clean_and_made_again_with_the_same_bytes(
    store: Store, place: Path, disk: Disk, make_again: Callable[[Path], Disk]
) -> None:
    assert disk.path.stat().st_size == SIZE
    assert check_disk(store, disk) == ()
    again = make_again(place / "second.raw")
    assert digest(again.path) == digest(disk.path)
    again.path.unlink()


@pytest.mark.slow
def test_it_boots_by_its_own_loader_and_stays_as_it_is(
    store: Store, committed: Committed, place: Path, disk: Disk, tmp_path: Path
) -> None:
    image = place / "disk.qcow2"
    make_qcow2(store, disk.path, image)
    before = digest(image)
    report = run_boot(
        store, image, packages=["ostree", "systemd"], commit=committed.checksum, console_log=tmp_path / "console",
        room=ROOM,
    )  # fmt: skip
    image_after = digest(image)
    image.unlink()
    assert report.ok, (report.problems, report.waiting_jobs)
    assert report.secure_boot
    assert report.failed_units == ()
    assert report.packages["ostree"] == "2025.2-1"
    [deployment] = report.deployments
    assert (deployment.os, deployment.origin, deployment.version) == ("debian", "updates:test/server", "13.1")
    assert f"root=UUID={disk.identity.root_fs}" in report.cmdline
    assert "Secure Boot is enabled" in (tmp_path / "console").read_text("utf-8", "replace")
    assert image_after == before
    grown = report.growth
    assert grown is not None
    assert (grown.able, grown.disk, grown.start) == (True, SIZE + ROOM, disk.layout.root_start)
    assert grown.partition > disk.layout.root_size + ROOM - SPARE
    assert grown.partition - grown.filesystem < 4096


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ["vmdk", "vhd"])
def test_the_other_formats_boot_too(
    store: Store, committed: Committed, place: Path, disk: Disk, tmp_path: Path, kind: str
) -> None:
    image = place / f"disk.{kind}"
    make_image(store, disk.path, image, kind)
    before = digest(image)
    console = tmp_path / "console"
    report = run_boot(store, image, commit=committed.checksum, console_log=console, timeout=3600)
    image_after = digest(image)
    image.unlink()
    assert report.ok, (report.problems, report.waiting_jobs)
    assert report.secure_boot
    assert image_after == before


def test_a_disk_without_a_system_ends_in_time_and_shows_the_console(store: Store, place: Path, tmp_path: Path) -> None:
    empty = place / "empty.raw"
    with empty.open("wb") as file:
        file.truncate(1024**2)
    with pytest.raises(LimitHit, match=r"the console (ends|is empty)") as caught:
        run_boot(store, empty, timeout=20, console_log=tmp_path / "console")
    assert str(tmp_path) in caught.value.hint
    empty.unlink()


def test_content_that_does_not_fit_is_told_with_its_size(store: Store) -> None:
    mib = 1024**2
    layout = Layout(size=18 * mib, esp_start=mib, esp_size=0, root_start=mib, root_size=16 * mib)
    script = "mkdir root; head -c 40M /dev/urandom > root/big; truncate -s 18M disk.raw"
    with open_bench(store, suite="trixie", arch="amd64", binds={}) as bench:
        bench.run(["sh", "-euc", script])
        with pytest.raises(ConfigError, match=r"4\d MiB do not fit on a disk of 18 MiB"):
            fill_root(bench, layout, make_identity("any"))


def test_what_cannot_be_made_leaves_nothing(store: Store, committed: Committed, place: Path) -> None:
    with pytest.raises(CommandFailed):
        make_disk(
            store, repo=committed.repo, commit="0" * 64, ref="test/server", out=place / "small.raw", size=SIZE,
            epoch=TIMESTAMP,
        )  # fmt: skip
    assert not list(place.glob("*small*"))
