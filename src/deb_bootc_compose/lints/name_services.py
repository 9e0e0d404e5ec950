"""No name is looked up by what Debian has not: nss-altfiles (U3)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    for line in (root.read("etc/nsswitch.conf") or "").splitlines():
        name, colon, services = line.partition("#")[0].partition(":")
        if colon and "altfiles" in services.split() and not any(root.path.glob("usr/lib/*/libnss_altfiles.so.2")):
            yield f"/etc/nsswitch.conf looks up {name.strip()} in altfiles, which is not in the image"


LINT = Lint("name-services", "fatal", "debian", "nsswitch.conf names no nss-altfiles that is not there", check)
