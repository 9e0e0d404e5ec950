"""What is laid over an image for one boot is there before units start, and the image stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deb_bootc_compose.boot.override import find_kernel, make_overlay, make_override
from deb_bootc_compose.boot.run import run_boot
from deb_bootc_compose.disk.image import Disk
from debcore.errors import ConfigError, Failure
from debroot.store import Store
from tests.integration.tree.test_tree import make_deb

if TYPE_CHECKING:
    from tests.integration.disk.conftest import Committed

pytestmark = pytest.mark.root

UNIT = """\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo "overlay: $$(cat /usr/share/demo/version) $$(cat /etc/demo)" > /dev/console'
"""


def make_directory(where: Path) -> Path:
    units = where / "tree/usr/lib/systemd/system"
    units.mkdir(parents=True)
    (units / "demo.service").write_text(UNIT)
    (where / "tree/etc").mkdir()
    (where / "tree/etc/demo").write_text("seen")
    return where / "tree"


def test_only_usr_and_etc_are_laid_over_and_a_broken_deb_is_named(store: Store, tmp_path: Path) -> None:
    tree = make_directory(tmp_path)
    make_overlay(store, tmp_path / "disk", debs=[make_deb(tmp_path, version="7")], directories=[(tree, "/")])
    assert (tmp_path / "disk").stat().st_size > 1e6
    with pytest.raises(ConfigError, match="not below /usr or /etc"):
        make_overlay(store, tmp_path / "no", debs=[], directories=[(tree, "/var/lib")])
    (tree / "srv").mkdir()
    with pytest.raises(ConfigError, match="/srv is not below"):
        make_overlay(store, tmp_path / "no", debs=[], directories=[(tree, "/")])
    (tmp_path / "bad.deb").write_text("nonsense")
    with pytest.raises(Failure, match="cannot be made"):
        make_overlay(store, tmp_path / "no", debs=[tmp_path / "bad.deb"], directories=[])
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_a_deb_and_a_directory_are_there_when_units_start(
    store: Store, committed: Committed, disk: Disk, place: Path, tmp_path: Path
) -> None:
    overlay = place / "overlay"
    deb = make_deb(tmp_path, version="7")
    make_overlay(store, overlay, debs=[deb], directories=[(make_directory(tmp_path), "/")])
    kargs = ("console=tty0", "console=ttyS0")
    kernel = find_kernel(committed.tree, committed.kver, commit=committed.checksum, kargs=kargs, scratch=place)
    override = make_override(overlay, units=["demo.service"], kernel=kernel)
    console = tmp_path / "console"
    report = run_boot(store, disk.path, commit=committed.checksum, console_log=console, override=override)
    assert report.ok, (report.problems, report.waiting_jobs)
    assert "overlay: 7 seen" in console.read_text("utf-8", "replace")
    assert "ostree=/ostree/boot.1/debian/" in report.cmdline
    print(f"up after {report.timing.boot:.0f} s")
