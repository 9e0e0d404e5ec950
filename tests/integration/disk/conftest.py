"""A signed commit of a small trixie server whose image keeps its boot menu, in the store that all tests share."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deb_bootc_compose.boot.grub import image_files
from deb_bootc_compose.disk.image import Disk, Remote, make_disk
from deb_bootc_compose.ostree import commit, init_repo
from deb_bootc_compose.tree.make import TreeSpec, find_tools, make_tree
from deb_bootc_compose.tree.spec import AddFile, FinishOptions, Units
from debcore.openpgp import Signer, generate_key
from debroot.resolve import fetch, resolve
from debroot.sources import find_host_sources
from debroot.store import Store

SUITE, ARCH = "trixie", "amd64"
BASE = ("?essential", "apt")
#: The same packages as in tests/integration/tree: the stages are made once for both.
SERVER = (
    "systemd-sysv", "dbus", "udev", "kmod", "linux-image-cloud-amd64", "dracut", "ostree", "ostree-boot", "zstd",
    "grub2-common", "openssh-server", "ca-certificates", "python3", "libpam-systemd", "iproute2",
    "systemd-repart",
)  # fmt: skip
DAY = 86400.0
TIMESTAMP = 1_760_000_000
REF = "test/server"
SIZE = 3 * 1024**3

NETWORK = b"[Match]\nType=ether\n\n[Network]\nDHCP=yes\n"


@dataclass(frozen=True)
class Committed:
    """What a disk is made of."""

    repo: Path
    checksum: str
    key: str  #: armoured public key that signed the commit
    signer: Signer
    kver: str
    tree: Path  #: its root in the store


@pytest.fixture(scope="session")
def store(store_dir: Path) -> Store:
    return Store.open(store_dir)


@pytest.fixture(scope="session")
def place(cache_dir: Path) -> Iterator[Path]:
    """Below the cache: ids inside may not enter the temporary directories of pytest, and an image is large."""
    path = Path(tempfile.mkdtemp(prefix="disk-tests-", dir=cache_dir))  # another run on this host has its own
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def committed(store: Store, place: Path, tmp_path_factory: pytest.TempPathFactory) -> Committed:
    sources, tools = find_host_sources(SUITE), find_tools(store, SUITE)
    base = resolve(store, sources=sources, arch=ARCH, install=BASE, max_age=DAY).packages
    full = resolve(store, sources=sources, arch=ARCH, install=(*BASE, *SERVER), max_age=DAY).packages
    fetch(store, full)
    known = {package.key for package in base}
    finish = FinishOptions(
        add_files=(
            *(AddFile(path=path, mode=mode, content=content) for path, (mode, content) in image_files().items()),
            AddFile(path="/usr/lib/systemd/network/80-ether.network", content=NETWORK),
        ),
        units=Units(enable=("ssh.service", "systemd-networkd.service")),
    )
    archive = tuple(package for package in full if package.key not in known)
    spec = TreeSpec(suite=SUITE, arch=ARCH, base=base, archive=archive, finish=finish)
    directory = tmp_path_factory.mktemp("commit")
    tree = make_tree(store, spec, tools=tools, log=directory / "tree.log")
    signer: Signer = generate_key(directory / "key", "Disk tests <disk@example.org>")
    repository = init_repo(store, place / "repo", suite=SUITE, tools=tools)
    made = commit(repository, tree, ref=REF, version="13.1", timestamp=TIMESTAMP, signer=signer)
    return Committed(repository.path, made.checksum, signer.public_key(), signer, tree.kver, tree.root)


def disk_of(store: Store, committed: Committed, out: Path, *, size: int = SIZE) -> Disk:
    remote = Remote("updates", "http://updates.example.org/repo", committed.key)
    return make_disk(
        store, repo=committed.repo, commit=committed.checksum, ref=REF, out=out, size=size, epoch=TIMESTAMP,
        remote=remote,
    )  # fmt: skip


@pytest.fixture
def make_again(store: Store, committed: Committed) -> Callable[[Path], Disk]:
    """The same disk, in another file."""
    return functools.partial(disk_of, store, committed)


@pytest.fixture(scope="session")
def disk(store: Store, committed: Committed, place: Path) -> Disk:
    return disk_of(store, committed, place / "first.raw")
