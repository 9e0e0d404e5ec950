"""An archive of several suites on this disk, shaped and signed as Debian's are: what no mirror at hand may have."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from debcore.command import run
from debcore.openpgp import Signer
from debroot.localrepo import make_repository
from debroot.resolve import fetch
from debroot.store import Package, Store


@dataclass(frozen=True)
class Archive:
    """`root` is on the file system of the store's pool: files are hard links."""

    root: Path
    store: Store
    signer: Signer

    def add_suite(
        self,
        suite: str,
        packages: Sequence[Package],
        *,
        below: str = "debian",
        arch: str = "amd64",
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """A suite of *root*/*below* with these packages; *fields*: of its Release, beside or in place of the usual."""
        made = self.root / "making"
        fetch(self.store, packages)  # gc may have removed what roots were made of
        make_repository(self.store, packages, made, suite=suite, arch=arch)
        release = made / "dists" / suite / "Release"
        head = {"Date": formatdate(usegmt=True), **(fields or {})}
        rest = [line for line in release.read_text().splitlines() if line.partition(":")[0] not in head]
        text = "\n".join([*(f"{name}: {value}" for name, value in head.items()), *rest, ""])
        release.unlink()
        (release.parent / "InRelease").write_bytes(self.signer.sign_inline(text.encode()))
        shutil.copytree(made, self.root / below, dirs_exist_ok=True, copy_function=_link)
        shutil.rmtree(made)

    def settings(self) -> tuple[str, ...]:
        """Options that make it the mirror."""
        key = self.root / "key.asc"
        key.write_text(self.signer.public_key())
        values = (f"mirror=file:{self.root}/debian", f"keyring={key}", "security=false", "updates=false")
        return tuple(word for value in values for word in ("--set", f"archive.{value}"))


def _link(source: str, target: str) -> None:
    if not os.path.lexists(target):
        os.link(source, target)


def make_package(
    store: Store,
    directory: Path,
    name: str,
    version: str,
    *,
    depends: str = "",
    arch: str = "all",
    fields: Sequence[str] = (),
) -> Package:
    """A package in the pool; the same words give the same bytes."""
    tree = directory / f"{name}-{version}-{arch}"
    (tree / "DEBIAN").mkdir(parents=True)
    place = tree / "usr/share" / name
    place.mkdir(parents=True)
    (place / "version").write_text(f"{version}\n")
    more = "".join(f"{line}\n" for line in [*([f"Depends: {depends}"] if depends else []), *fields])
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: A <a@example.org>\n{more}"
        "Description: of a test\n"
    )
    deb = directory / f"{name}_{version}_{arch}.deb"
    run(["env", "SOURCE_DATE_EPOCH=0", "dpkg-deb", "--root-owner-group", "--build", tree, deb])
    return store.add_deb(deb)
