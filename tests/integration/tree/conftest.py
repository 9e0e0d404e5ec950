"""One small trixie server, made once and kept in the store that all tests share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_bootc_compose.ostree import Commit, Repository, commit, init_repo
from deb_bootc_compose.tree.make import Tree, TreeSpec, find_tools, make_tree
from deb_bootc_compose.tree.spec import AddFile, FinishOptions, Units
from debcore.openpgp import Signer, generate_key, load_signer
from debroot.resolve import fetch, resolve
from debroot.sources import find_host_sources
from debroot.store import Layer, Store

SUITE, ARCH = "trixie", "amd64"
BASE = ("?essential", "apt")
SERVER = (
    "systemd-sysv", "dbus", "udev", "kmod", "linux-image-cloud-amd64", "dracut", "ostree", "ostree-boot", "zstd",
    "grub2-common", "openssh-server", "ca-certificates", "python3", "libpam-systemd", "iproute2",
    "systemd-repart",
)  # fmt: skip
DAY = 86400.0
TIMESTAMP = 1_760_000_000


@pytest.fixture(scope="session")
def store(store_dir: Path) -> Store:
    return Store.open(store_dir)


@pytest.fixture(scope="session")
def tools(store: Store) -> Layer:
    return find_tools(store, SUITE)


@pytest.fixture(scope="session")
def spec(store: Store) -> TreeSpec:
    sources = find_host_sources(SUITE)
    base = resolve(store, sources=sources, arch=ARCH, install=BASE, max_age=DAY).packages
    full = resolve(store, sources=sources, arch=ARCH, install=(*BASE, *SERVER), max_age=DAY).packages
    fetch(store, full)
    known = {package.key for package in base}
    assert known <= {package.key for package in full}
    finish = FinishOptions(
        add_files=(AddFile(path="/etc/motd", content=b"Hello\n"), AddFile(path="/etc/issue.net", target="issue")),
        units=Units(enable=("systemd-networkd.service",), mask=("rescue.target",)),
        os_release=(("VARIANT_ID", "server"),),
        kernel_arguments=("quiet",),
    )
    archive = tuple(package for package in full if package.key not in known)
    return TreeSpec(suite=SUITE, arch=ARCH, base=base, archive=archive, finish=finish)


@pytest.fixture(scope="session")
def tree(store: Store, tools: Layer, spec: TreeSpec, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return make_tree(store, spec, tools=tools, log=tmp_path_factory.mktemp("log") / "tree.log")


@pytest.fixture(scope="session")
def place(cache_dir: Path) -> Path:
    """Repository and key are kept between runs: a commit of what is there already is quick."""
    place = cache_dir / "tree-tests"
    place.mkdir(exist_ok=True)
    return place


@pytest.fixture(scope="session")
def repository(store: Store, tools: Layer, place: Path) -> Iterator[Repository]:
    repository = init_repo(store, place / "repo-bare", suite=SUITE, mode="bare", tools=tools)  # nothing to compress
    yield repository
    repository.run("prune", "--refs-only")


@pytest.fixture(scope="session")
def signer(place: Path) -> Signer:
    key = place / "key"
    return load_signer(key) if key.exists() else generate_key(key, "Tree tests <tree@example.org>")


@pytest.fixture(scope="session")
def committed(repository: Repository, tree: Tree, signer: Signer) -> Commit:
    return commit(repository, tree, ref="test/server", version="13.1", timestamp=TIMESTAMP, signer=signer)


@pytest.fixture(scope="session")
def pinned(spec: TreeSpec, tree: Tree) -> TreeSpec:
    """The same tree again, with the ids of the first run as its ledger: every stage above the base has another key."""
    return dataclasses.replace(spec, finish=dataclasses.replace(spec.finish, ids=tree.ids, ids_strict=True))
