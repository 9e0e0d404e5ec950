"""An xfs root made without mounting it: what it keeps, the same bytes twice; it boots, grows, updates and goes back."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deb_bootc_compose.boot.report import SPARE
from deb_bootc_compose.boot.run import ROOM, run_boot
from deb_bootc_compose.disk import xfs
from deb_bootc_compose.disk.bench import open_bench
from deb_bootc_compose.disk.check import check_disk
from deb_bootc_compose.disk.image import Disk, Remote, fill_root_xfs, make_disk
from deb_bootc_compose.disk.layout import Layout, make_identity
from deb_bootc_compose.ostree import Repository
from deb_bootc_compose.tree.make import find_tools
from debcore.errors import ConfigError
from debroot.bootstrap import tools_root
from debroot.sources import CHECK_VALID_UNTIL
from debroot.store import Store
from tests.integration.disk.test_gate import change, update

if TYPE_CHECKING:
    from tests.integration.disk.conftest import Committed

pytestmark = [pytest.mark.root, pytest.mark.slow]

MIB = 1024**2
SIZE = 3 * 1024 * MIB
TIMESTAMP = 1_760_000_000
SMALL = Layout(size=514 * MIB, esp_start=MIB, esp_size=0, root_start=MIB, root_size=512 * MIB)

#: A file capability: CAP_NET_RAW, version 2. Source: linux/capability.h.
CAPABILITY = "0100000200200000000000000000000000000000"

TREE = f"""
truncate -s 514M disk.raw
mkdir -p root/boot/loader.1 root/ostree/d/empty && cd root
ln -s loader.1 boot/loader && echo 'linux root=UUID=here' > boot/loader.1/grub.cfg
for i in $(seq 300 | sort $ORDER); do echo "$i" > "f$i"; ln "f$i" "ostree/g$i"; done
chown 7:8 f1 && chmod 4750 f1
python3 -c '
import os
os.setxattr("f2", "security.capability", bytes.fromhex("{CAPABILITY}"))
os.setxattr("f3", "user.ostreemeta", b"z" * 2000)
'
ln -s a/link s && truncate -s 3M hole && echo end >> hole
find . -exec touch --no-dereference --date=@1600000000.5 {{}} +
"""
#: xfs_db writes attributes with the files that it takes out; the kernel takes capabilities away again with `chown`.
ATTRIBUTES = """
import os
for name in sorted(os.listxattr("out/f3")):
    print(name, os.getxattr("out/f3", name).hex())
"""
#: The value of the capability as xfs_db shows it.
SHOWN = r'value = "\001\000\000\002\000 \000\000\000\000\000\000\000\000\000\000\000\000\000\000"'


@pytest.fixture(autouse=True)
def a_mirror_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHECK_VALID_UNTIL, "no")  # forky's indexes end after a week


@pytest.fixture(scope="module")
def disk(store: Store, committed: Committed, place: Path) -> Iterator[Disk]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHECK_VALID_UNTIL, "no")
        made = disk_of(store, committed, place / "xfs.raw")
    yield made
    made.path.unlink()


def disk_of(store: Store, committed: Committed, out: Path) -> Disk:
    remote = Remote("updates", "http://updates.example.org/repo", committed.key)
    return make_disk(
        store, repo=committed.repo, commit=committed.checksum, ref="test/server", out=out, size=SIZE, epoch=TIMESTAMP,
        remote=remote, filesystem="xfs",
    )  # fmt: skip


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fill(store: Store, order: str, suite: str) -> tuple[str, dict[str, str], list[str]]:
    """SHA-256 of a disk with TREE, what xfs_db says of some of its files, and what is found wrong."""
    python = find_tools(store, "trixie")
    with open_bench(store, suite="trixie", arch="amd64", binds={}, env={"SOURCE_DATE_EPOCH": str(TIMESTAMP)}) as bench:
        box = dataclasses.replace(bench, sandbox=dataclasses.replace(bench.sandbox, lowers=python.lowers()))
        box.run(["env", f"ORDER={order}", "sh", "-euc", TREE])
        with xfs.xfs_bench(store, bench, suite=suite) as other:
            fill_root_xfs(other, SMALL, make_identity("any"), "/ostree/d", suite)
            xfs.take_root(other, SMALL, "/work/disk.raw")
            said = {
                name: xfs.ask(other, f"path /{name}", "print").text
                for name in ("f1", "f2", "ostree/g2", "s", "hole", "ostree/d")
            }
            said["version"] = xfs.ask(other, "version").text
            problems = xfs.check_xfs(other, "/ostree/d", uuid="here")
            problems += xfs.check_xfs(other, "/ostree", uuid="elsewhere")
            other.run(["mkdir", "out"])
            xfs.ask(other, "rdump / out")
            said["attributes"] = box.run(["python3", "-c", ATTRIBUTES]).text
            return other.run(["sha256sum", "disk.raw"]).text.split()[0], said, problems


def test_it_keeps_links_attributes_and_owners_whatever_the_order_of_the_host(store: Store) -> None:
    first, said, problems = fill(store, "-n", "trixie")
    second, again, _ = fill(store, "-rn", "trixie")
    assert first == second
    assert said == again
    assert problems == [
        "root file system: /ostree is not immutable",
        "boot loader: the menu has no entry that names the root file system",
    ]
    assert {"core.mode = 0104750", "core.uid = 7", "core.gid = 8", "core.nlinkv2 = 2"} <= set(said["f1"].splitlines())
    assert "core.mtime.nsec = 500000000" in said["f1"]
    assert said["f2"] == said["ostree/g2"]  # one inode, with its number
    assert 'name = "capability"' in said["f2"]
    assert SHOWN in said["f2"]
    assert said["attributes"] == f"user.ostreemeta {'7a' * 2000}\n"
    assert "core.immutable = 1" in said["ostree/d"]
    assert 'u3.symlink = "a/link"' in said["s"]
    assert "core.nblocks = 1\n" in said["hole"]
    assert "RMAPBT" in said["version"]
    assert "NREXT64" in said["version"]


def test_bookworms_kernel_and_grub_can_read_theirs(store: Store) -> None:
    _, said, _ = fill(store, "-n", "bookworm")
    assert "BIGTIME" in said["version"]
    assert "NREXT64" not in said["version"]


def test_an_acl_is_told_and_not_lost(store: Store) -> None:
    with open_bench(store, suite="trixie", arch="amd64", binds={}) as bench:
        bench.run(["sh", "-euc", "truncate -s 514M disk.raw; mkdir -p root/usr/odd; touch root/usr/plain"])
        with xfs.xfs_bench(store, bench, suite="trixie") as other:
            other.run(["setfacl", "-d", "-m", "u:7:rx", "root/usr/odd"])
            with pytest.raises(ConfigError, match="1 files with an ACL, such as /usr/odd"):
                fill_root_xfs(other, SMALL, make_identity("any"), "/", "trixie")


def test_content_that_does_not_fit_is_told_with_its_size(store: Store) -> None:
    with open_bench(store, suite="trixie", arch="amd64", binds={}) as bench:
        bench.run(["sh", "-euc", "truncate -s 514M disk.raw; mkdir root; head -c 600M /dev/urandom > root/big"])
        with (
            xfs.xfs_bench(store, bench, suite="trixie") as other,
            pytest.raises(ConfigError, match=r"60\d MiB do not fit on a disk of 514 MiB"),
        ):
            fill_root_xfs(other, SMALL, make_identity("any"), "/", "trixie")


def test_a_commit_gives_the_same_bytes_twice(store: Store, committed: Committed, place: Path, disk: Disk) -> None:
    again = disk_of(store, committed, place / "again.raw")
    second = digest(again.path)
    again.path.unlink()
    assert second == digest(disk.path)


def test_grub_reads_its_menu_and_the_kernel_of_it(store: Store, committed: Committed, disk: Disk) -> None:
    """By trixie's own GRUB, run as a program: its code for partitions, xfs and links is that of the boot loader."""
    grub = tools_root(store, suite="trixie", packages=("grub-common",))
    with open_bench(store, suite="trixie", arch="amd64", binds={"/in/disk.raw": disk.path}) as bench:
        box = dataclasses.replace(bench, sandbox=dataclasses.replace(bench.sandbox, lowers=grub.lowers()))
        box.run(["grub-fstest", "/in/disk.raw", "cp", "(loop0,gpt2)/boot/grub/grub.cfg", "menu"])
        menu = box.run(["cat", "menu"]).text
        [kernel] = re.findall(r"^\tlinux (\S+)", menu, re.MULTILINE)
        box.run(["grub-fstest", "/in/disk.raw", "cp", f"(loop0,gpt2){kernel}", "kernel"])
        read = box.run(["sha256sum", "kernel"]).text.split()[0]
    assert f"root=UUID={disk.identity.root_fs}" in menu
    assert read == digest(committed.tree / f"usr/lib/modules/{committed.kver}/vmlinuz")


def test_it_is_clean_boots_and_grows(store: Store, committed: Committed, disk: Disk, tmp_path: Path) -> None:
    assert check_disk(store, disk) == ()
    before = digest(disk.path)
    console = tmp_path / "console"
    report = run_boot(store, disk.path, commit=committed.checksum, console_log=console, room=ROOM)
    print(report.model_dump_json(indent=1))
    assert report.ok, (report.problems, report.waiting_jobs)
    assert report.secure_boot
    assert [mount.fstype for mount in report.mounts if mount.target == "/sysroot"] == ["xfs"]
    grown = report.growth
    assert grown is not None
    assert (grown.able, grown.disk, grown.start) == (True, SIZE + ROOM, disk.layout.root_start)
    assert grown.partition > disk.layout.root_size + ROOM - SPARE
    assert grown.partition - grown.filesystem < grown.unit == 64 * 4096
    assert digest(disk.path) == before


def test_it_updates_over_http_and_goes_back(store: Store, committed: Committed, disk: Disk, tmp_path: Path) -> None:
    repository = Repository(store, find_tools(store, "trixie"), committed.repo)
    after = change(repository, committed, "usr/share/new-on-xfs", b"new\n", ("", ""))
    report = update(repository, committed, disk, after, tmp_path, rollback=True)
    print(report.model_dump_json(indent=1, exclude={"boots"}))
    assert report.failed == ()
