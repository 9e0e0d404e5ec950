"""What an xfs root asks of its tools, and what it makes of what they say."""

from __future__ import annotations

import pytest

from deb_bootc_compose.disk import xfs
from deb_bootc_compose.disk.image import fill_root_xfs
from deb_bootc_compose.disk.layout import make_identity, make_layout
from debcore.errors import CommandFailed, ConfigError
from tests.unit.deb_bootc_compose.disk.test_disk_image import Recorder, recorder

LAYOUT = make_layout(2048 * 1024**2)
IDENTITY = make_identity("any")
FLAG = "core.immutable = 1\n"


def fill(bench: Recorder, suite: str = "trixie") -> list[str]:
    fill_root_xfs(bench, LAYOUT, IDENTITY, "/ostree/d", suite)
    return bench.lines()


@pytest.mark.parametrize(
    ("suite", "kernel"), [("bookworm", "6.1"), ("trixie", "6.12"), ("forky", "6.12"), ("sid", "6.12")]
)
def test_nothing_of_the_host_is_left_to_chance(suite: str, kernel: str) -> None:
    lines = fill(recorder(xfs_db=["", FLAG]), suite)
    [mkfs] = [line for line in lines if "mkfs.xfs" in line]
    for words in (
        f"LD_PRELOAD={xfs.SORTED} DETERMINISTIC_SEED=1", f"options=/usr/share/xfsprogs/mkfs/lts_{kernel}.conf",
        "-s size=512", "-d noalign,concurrency=0", "-l concurrency=0", f"uuid={IDENTITY.root_fs}",
    ):  # fmt: skip
        assert words in mkfs
    assert f"truncate -s {LAYOUT.root_size} {xfs.IMAGE}" in lines
    assert f"dd if={xfs.IMAGE} of=/work/disk.raw bs=1M seek=513 conv=sparse,notrunc status=none" in lines


def test_a_flag_that_did_not_take_is_an_error() -> None:
    with pytest.raises(CommandFailed):
        fill(recorder(xfs_db=["", "core.immutable = 0\n"]))


def test_an_acl_is_refused_before_anything_is_written() -> None:
    bench = recorder(getfacl=["# file: /work/root/usr/a\nuser:7:r--\n\n# file: /work/root/usr/b\n"])
    with pytest.raises(ConfigError, match="2 files with an ACL, such as /usr/a") as caught:
        fill(bench)
    assert caught.value.where == "filesystem"
    assert not any("mkfs" in line for line in bench.lines())


@pytest.mark.parametrize(("said", "error"), [("[28 - No space left on device]", ConfigError), ("", CommandFailed)])
def test_only_a_full_disk_is_called_too_small(said: str, error: type[Exception]) -> None:
    bench = recorder(du=["900\t/work/root"])
    with pytest.raises(error, match="900 MiB do not fit on a disk of 2048 MiB" if said else "env"):
        fill(Recorder(bench.sandbox, bench.scratch, bench.answers, CommandFailed(["env"], 1, said)))


def test_the_menu_is_read_where_the_link_leads() -> None:
    bench = recorder(xfs_db=['u3.symlink = "loader.1"\n'], cat=["linux root=UUID=x\n"])
    assert xfs.read_menu(bench) == "linux root=UUID=x\n"
    assert "xfs_db -r -c rdump /boot/loader.1/grub.cfg /work/menu /work/root.xfs" in bench.lines()
