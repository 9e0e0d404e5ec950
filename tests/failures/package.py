"""Small source packages that fail: written to a directory as a tree, or packed by hand into a .dsc."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DH = "debhelper-compat (= 13)"
DH_RULES = "#!/usr/bin/make -f\n%:\n\tdh $@\n"
DATE = "Thu, 01 Jan 2026 00:00:00 +0000"


def plain_rules(build: str) -> str:
    """debian/rules without helpers whose build is one shell command."""
    return (
        f"#!/usr/bin/make -f\nclean:\n\trm -rf debian/tmp debian/files\nbuild build-arch build-indep:\n\t{build}\n"
        "binary binary-indep binary-arch: build\n\tmkdir -p debian/tmp/DEBIAN\n\tdpkg-gencontrol -pbroken\n"
        "\tdpkg-deb --root-owner-group --build debian/tmp ..\n"
    )


@dataclass(frozen=True, kw_only=True)
class Package:
    """A source package. Empty `depends` takes the base root as it is, which saves a layer."""

    rules: str = DH_RULES
    depends: str = DH
    files: Mapping[str, str] = field(default_factory=dict)
    executables: Sequence[str] = ()
    fields: Sequence[str] = ()  #: more lines of the source paragraph
    architecture: str = "any"
    binary: str = "broken"
    changelog: str = f"broken (1.0) trixie; urgency=medium\n\n  * First.\n\n -- A Tester <t@example.org>  {DATE}\n"
    format: str = "3.0 (native)"

    def write(self, directory: Path) -> Path:
        """The source tree, directory/broken-1.0."""
        tree = directory / "broken-1.0"
        relation = [f"Build-Depends: {self.depends}"] if self.depends else []
        source = ["Source: broken", "Maintainer: A Tester <t@example.org>", "Standards-Version: 4.7.0"]
        source += ["Rules-Requires-Root: no", *relation, *self.fields]
        control = [*source, "", f"Package: {self.binary}", f"Architecture: {self.architecture}"]
        control += ["Depends: ${shlibs:Depends}, ${misc:Depends}", "Description: broken", " on purpose", ""]
        files = {
            "debian/source/format": f"{self.format}\n",
            "debian/changelog": self.changelog,
            "debian/control": "\n".join(control),
            "debian/rules": self.rules,
            **self.files,
        }
        for name, text in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name in ("debian/rules", *self.executables):
            (tree / name).chmod(0o755)
        return tree


def make_plain(build: str, **files: str) -> Package:
    """Needs nothing but build-essential; `build` is a shell command. In names of files `__` stands for a dot."""
    named = {name.replace("__", "."): text for name, text in files.items()}
    return Package(rules=plain_rules(build), depends="", files=named, architecture="all")


def write_quilt(directory: Path, package: Package, *, orig: Mapping[str, str], patch: str = "") -> tuple[Path, Path]:
    """*package* as 3.0 (quilt) with an upstream tarball beside it: (tree, orig)."""
    tree = package.write(directory)
    upstream = directory / "broken_1.0.orig.tar.gz"
    make_tar(upstream, {f"broken-1.0/{name}": text.encode() for name, text in orig.items()})
    if patch:
        (tree / "debian" / "patches").mkdir()
        (tree / "debian" / "patches" / "series").write_text("fix.patch\n")
        (tree / "debian" / "patches" / "fix.patch").write_text(patch)
    return tree, upstream


def write_dsc(directory: Path, tree: Path, upstream: Path, *, checksum: str = "") -> Path:
    """A .dsc made without dpkg-source, which would refuse what is wrong. *checksum* replaces the upstream tarball's."""
    debian = directory / "broken_1.0-1.debian.tar.gz"
    inside = {str(path.relative_to(tree)): path for path in sorted((tree / "debian").rglob("*")) if path.is_file()}
    make_tar(debian, {name: path.read_bytes() for name, path in inside.items()}, executable="debian/rules")
    sums, files = [], []
    for path in (upstream, debian):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        digest = checksum if checksum and path == upstream else digest
        sums.append(f" {digest} {path.stat().st_size} {path.name}\n")
        files.append(f" {hashlib.md5(path.read_bytes()).hexdigest()} {path.stat().st_size} {path.name}\n")
    dsc = directory / "broken_1.0-1.dsc"
    dsc.write_text(
        "Format: 3.0 (quilt)\nSource: broken\nBinary: broken\nArchitecture: any\nVersion: 1.0-1\n"
        "Maintainer: A Tester <t@example.org>\nStandards-Version: 4.7.0\n"
        "Package-List:\n broken deb misc optional arch=any\n"
        f"Checksums-Sha256:\n{''.join(sums)}Files:\n{''.join(files)}"
    )
    return dsc


def make_tar(path: Path, files: Mapping[str, bytes], *, executable: str = "") -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o755 if name == executable else 0o644
            tar.addfile(entry, io.BytesIO(data))
