"""A trusted repository of exactly the given .debs, as files: what mmdebstrap and apt see instead of a network."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from debcore.errors import Failure
from debroot.debfile import read_control
from debroot.owned import show_all
from debroot.store import Package, Store


def make_repository(store: Store, packages: Sequence[Package], target: Path, *, suite: str, arch: str) -> None:
    """Write `dists/SUITE/main/binary-ARCH/Packages`, its Release, and `pool/` of hard links below *target*."""
    pool = target / "pool"
    index = target / "dists" / suite / "main" / f"binary-{arch}"
    for directory in (pool, index):
        directory.mkdir(parents=True)
    stanzas = []
    for package in packages:
        deb = store.pool_path(package.sha256)
        name = f"pool/{package.name}_{package.sha256[:16]}_{package.arch}.deb"
        try:
            _link(deb, target / name)
        except FileNotFoundError as error:
            raise Failure(f"{package.name} {package.version} is not in the pool", hint="run it again") from error
        stanzas.append(make_stanza(deb, name, package.sha256))
    content = "\n".join(stanzas).encode()
    (index / "Packages").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    release = (
        f"Origin: debootc\nSuite: {suite}\nCodename: {suite}\nArchitectures: {arch}\nComponents: main\n"
        f"SHA256:\n {digest} {len(content)} main/binary-{arch}/Packages\n"
    )
    (target / "dists" / suite / "Release").write_text(release)
    show_all(target)


def _link(deb: Path, to: Path) -> None:
    try:
        os.link(deb, to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(deb, to)  # a pool on a disk of its own


def make_stanza(deb: Path, filename: str, sha256: str) -> str:
    """The entry of *deb* in a Packages file."""
    control = read_control(deb).strip()
    return f"{control}\nFilename: {filename}\nSize: {deb.stat().st_size}\nSHA256: {sha256}\n"
