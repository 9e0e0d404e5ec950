"""An image labelled for bootc can update itself only with bootc in it. What that says of the image: own.py."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    if not (root.path / "usr/bin/bootc").is_file():
        yield "there is no /usr/bin/bootc: waive it with the reason if machines update by OSTree only"


LINT = Lint("bootc-client", "fatal", "debian", "the image has /usr/bin/bootc, which accepts it", check)
