"""An image has /etc, a commit /usr/etc; with both it cannot be deployed (S1)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    if os.path.lexists(root.path / "etc") and os.path.lexists(root.path / "usr/etc"):
        yield "the tree has both /etc and /usr/etc"


LINT = Lint("etc-usretc", "fatal", "bootc", "/etc and /usr/etc are not both there", check)
