"""Where things are in a repository, relative to its root or to dists/SUITE.

Source: https://wiki.debian.org/DebianRepository/Format; pool directories as dak names them.
"""

from __future__ import annotations

import re

from debcore.errors import Failure
from debcore.path import check_file_name
from debcore.version import parse_version

PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Policy 5.6.1; also of sources
SUITE_NAME = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,99}")
RELEASE_SUITE = re.compile(SUITE_NAME.pattern + r"(@[0-9]{1,18})?")  # NAME@EVENT: as it was at an event
COMPONENT = re.compile(r"[a-z0-9][a-z0-9.+-]{0,39}")
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")


def check_name(name: str, pattern: re.Pattern[str], *, what: str) -> str:
    """Errors: Failure saying that *name* is no *what*."""
    if not pattern.fullmatch(name) or ".." in name:
        raise Failure(f"{name[:80]!r} is no {what}", hint=f"it must match {pattern.pattern}")
    return name


def pool_path(component: str, source: str, file_name: str) -> str:
    """`pool/main/liby/libyaml/NAME`. Errors: Failure on a hostile name."""
    check_name(component, COMPONENT, what="component")
    check_name(source, PACKAGE_NAME, what="source package name")
    check_file_name(file_name, where=source)
    letter = source[:4] if source.startswith("lib") else source[0]
    return f"pool/{component}/{letter}/{source}/{file_name}"


def deb_name(package: str, version: str, arch: str, *, suffix: str = "deb") -> str:
    """`hostname_3.25_amd64.deb`: never what the uploader called it, and without the epoch."""
    check_name(package, PACKAGE_NAME, what="package name")
    check_name(arch, ARCHITECTURE, what="architecture")
    return f"{package}_{parse_version(version).without_epoch}_{arch}.{suffix}"


def packages_path(component: str, arch: str) -> str:
    return f"{component}/binary-{arch}/Packages"


def sources_path(component: str) -> str:
    return f"{component}/source/Sources"


def by_hash_path(path: str, sha256: str) -> str:
    """The immutable name of the index at *path*."""
    return f"{path.rpartition('/')[0]}/by-hash/SHA256/{sha256}"


def base_of(suite: str) -> str:
    """NAME of NAME@EVENT, and of itself."""
    return suite.partition("@")[0]


def is_packed(path: str) -> bool:
    """True of a compressed form of an index; plain forms are listed and not served."""
    return path.rpartition(".")[2] in ("gz", "zst", "xz")
