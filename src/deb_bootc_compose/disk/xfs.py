"""An xfs root, made and checked without mounting it: docs/adr/0005.

`mkfs.xfs -p DIRECTORY` keeps hard links and attributes from xfsprogs 6.17 on, which bookworm and trixie do not have:
their images are made by forky's, with the features of their own kernel. mkfs.xfs takes files in the order in which the
host's file system lists them, so that a few lines of C sort each listing. It does not know ACLs, which are refused, and
it writes whole files only: the root is put into the disk afterwards.
Source: mkfs.xfs(8), xfs_db(8), xfs_repair(8).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deb_bootc_compose.disk.bench import WORK, Bench
from deb_bootc_compose.disk.layout import MIB, ROOT_LABEL, SECTOR, Identity, Layout
from debcore.command import Completed
from debcore.errors import CommandFailed, ConfigError
from debroot.bootstrap import tools_root
from debroot.store import Layer, Store

#: Packages of the tools root that makes and checks xfs; the compiler is for what sorts the listings.
XFS_TOOLS = ("xfsprogs", "gcc", "libc6-dev", "acl")

#: Suites whose mkfs.xfs does not fill from a directory, and whose tools are taken instead.
TOO_OLD = frozenset({"bookworm", "trixie"})
NEWER = "forky"

#: Suite → the kernel whose features its root has, where its own kernel or GRUB does not know those of 6.12.
OLDER_KERNEL = {"bookworm": "6.1"}

IMAGE = f"{WORK}/root.xfs"
SORTED = f"{WORK}/sorted-readdir.so"


def xfs_tools(store: Store, *, suite: str) -> Layer:
    """The tools root for images of *suite*; making it early shows its cost apart."""
    return tools_root(store, suite=NEWER if suite in TOO_OLD else suite, packages=XFS_TOOLS)


@contextmanager
def xfs_bench(store: Store, bench: Bench, *, suite: str) -> Iterator[Bench]:
    """*bench*, same scratch and same binds, with the programs of xfs_tools."""
    layer = xfs_tools(store, suite=suite)
    with store.using(layer):
        yield dataclasses.replace(bench, sandbox=dataclasses.replace(bench.sandbox, lowers=layer.lowers()))


def fill_xfs(bench: Bench, layout: Layout, identity: Identity, *, root: str, suite: str) -> None:
    """xfs with the content of *root* in IMAGE, exactly as large as its partition.

    Whatever the host's disks and processors are, it is the same. Errors: CommandFailed.
    """
    code = Path(__file__).with_name("sorted-readdir.c").read_bytes()
    bench.run(["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", SORTED, "-x", "c", "-"], stdin=code)
    features = f"/usr/share/xfsprogs/mkfs/lts_{OLDER_KERNEL.get(suite, '6.12')}.conf"
    bench.run(["truncate", "-s", str(layout.root_size), IMAGE])
    bench.run(
        ["env", f"LD_PRELOAD={SORTED}", "DETERMINISTIC_SEED=1", "mkfs.xfs", "-q", "-c", f"options={features}",
         "-s", f"size={SECTOR}", "-d", "noalign,concurrency=0", "-l", "concurrency=0", "-L", ROOT_LABEL,
         "-m", f"uuid={identity.root_fs}", "-p", root, IMAGE]
    )  # fmt: skip


def check_acls(bench: Bench, root: str) -> None:
    """mkfs.xfs would write each ACL as an attribute that no kernel reads. Errors: ConfigError if *root* has any."""
    done = bench.run(["getfacl", "--recursive", "--skip-base", "--physical", "--absolute-names", root])
    found = [line.removeprefix(f"# file: {root}") for line in done.text.splitlines() if line.startswith("# file: ")]
    if found:
        raise ConfigError(
            "filesystem", f"the commit has {len(found)} files with an ACL, such as {found[0]}: xfs would lose them",
            hint="take ext4, or take the ACLs away",
        )  # fmt: skip


def set_immutable(bench: Bench, deployment: str) -> None:
    """Set the flag that ostree may not set in a user namespace. Errors: CommandFailed if it is not there afterwards."""
    done = bench.run(["xfs_db", "-x", "-c", f"path {deployment}", "-c", "write core.immutable 1", IMAGE])
    if not is_immutable(bench, deployment):
        raise CommandFailed(done.argv, done.status, done.stderr.decode("utf-8", "replace") or done.text)


def is_immutable(bench: Bench, deployment: str) -> bool:
    return ask(bench, f"path {deployment}", "print core.immutable").text.strip() == "core.immutable = 1"


def put_root(bench: Bench, layout: Layout, disk: str) -> None:
    """Write IMAGE into its partition of *disk*, with its holes. Layouts are whole MiB."""
    where = f"seek={layout.root_start // MIB}"
    bench.run(["dd", f"if={IMAGE}", f"of={disk}", "bs=1M", where, "conv=sparse,notrunc", "status=none"])
    bench.run(["rm", IMAGE])


def take_root(bench: Bench, layout: Layout, disk: str) -> None:
    """IMAGE as it is in *disk*."""
    where = [f"skip={layout.root_start // MIB}", f"count={layout.root_size // MIB}"]
    bench.run(["dd", f"if={disk}", f"of={IMAGE}", "bs=1M", *where, "conv=sparse", "status=none"])
    bench.run(["truncate", "-s", str(layout.root_size), IMAGE])


def check_xfs(bench: Bench, deployment: str, *, uuid: str) -> list[str]:
    """What is wrong with the root in IMAGE. Source: xfs_repair(8): with -n, status 0 means clean."""
    problems = []
    done = bench.run(["xfs_repair", "-n", IMAGE], check=False)
    if done.status != 0:
        problems.append(f"root file system: {(done.text + done.stderr.decode('utf-8', 'replace')).strip()}")
    if not is_immutable(bench, deployment):
        problems.append(f"root file system: {deployment} is not immutable")
    if f"root=UUID={uuid}" not in read_menu(bench):
        problems.append("boot loader: the menu has no entry that names the root file system")
    return problems


def read_menu(bench: Bench) -> str:
    """GRUB's menu in IMAGE; empty if there is none. xfs_db follows no links: the live directory is read first."""
    live = ask(bench, "path /boot/loader", "print u3.symlink").text.partition('"')[2].rstrip('"\n')
    bench.run(["mkdir", "-p", f"{WORK}/menu"])
    ask(bench, f"rdump /boot/{live}/grub.cfg {WORK}/menu")
    return bench.run(["cat", f"{WORK}/menu/grub.cfg"], check=False).text


def ask(bench: Bench, *commands: str) -> Completed:
    """xfs_db says what is wrong on stderr, and ends well all the same."""
    return bench.run(["xfs_db", "-r", *(word for command in commands for word in ("-c", command)), IMAGE], check=False)
