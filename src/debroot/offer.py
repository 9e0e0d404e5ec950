"""Packages of the pool, offered to apt's solver beside the archive's. No repository has to be read for them.

Source: apt-get(8) --with-source, apt_preferences(5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from debcore.errors import Failure
from debcore.version import compare_versions
from debroot.localrepo import make_stanza
from debroot.store import Layer, Package, Store

#: The index among apt's configuration; apt knows by the name what is in it.
OFFER = "offer_Packages"


def make_offer(store: Store, debs: Sequence[Package]) -> bytes:
    """A Packages file. Errors: Failure if the pool has lost one of *debs*."""
    for package in store.missing(debs):
        raise Failure(f"{package.name} {package.version} is not in the pool", hint="run it again")
    return "\n".join(make_stanza(store.pool_path(p.sha256), f"pool/{p.sha256}.deb", p.sha256) for p in debs).encode()


def make_offer_pins(debs: Sequence[Package], status: bytes = b"") -> str:
    """Of the names that *debs* have, nothing else is a candidate: only repositories have an origin or a codename.

    One that is older than what dpkg's *status* has replaces that if something needs it: a binNMU is newer than
    what its source gives when it is built again.
    """
    names = " ".join(sorted({package.name for package in debs}))
    pins = [(names, pin, -1) for pin in ("release o=*", "release n=?*")]
    there = installed_versions(status)
    older = [deb for deb in debs if deb.name in there and compare_versions(deb.version, there[deb.name]) < 0]
    pins += [(deb.name, f"version {deb.version}", 1001) for deb in older]
    return "\n".join(f"Package: {name}\nPin: {pin}\nPin-Priority: {priority}\n" for name, pin, priority in pins)


def installed_versions(status: bytes) -> dict[str, str]:
    """Name → version in dpkg's database."""
    pattern = rb"^Package: (\S+)\n(?:(?!\n)[^\n]*\n)*?Version: (\S+)$"
    found = re.findall(pattern, status, re.MULTILINE)
    return {name.decode("ascii", "replace"): version.decode("ascii", "replace") for name, version in found}


def newer_than(base: Layer, debs: Sequence[Package]) -> tuple[str, ...]:
    """Those of *debs* that replace an older package of *base*, as `name=version`."""
    there = {package.name: package.version for package in base.packages}
    return tuple(
        f"{deb.name}={deb.version}"
        for deb in debs
        if deb.name in there and compare_versions(deb.version, there[deb.name]) > 0
    )
