"""`useradd` makes homes where they are, so that passwd never names a link (L10)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    text = root.read("etc/default/useradd")
    if text is None:
        return
    homes = [line.partition("=")[2].strip() for line in text.splitlines() if line.startswith("HOME=")]
    if homes[-1:] != ["/var/home"]:
        yield f"/etc/default/useradd has HOME={homes[-1] if homes else ''}, not /var/home"


LINT = Lint("useradd-home", "warning", "debian", "useradd makes home directories below /var/home", check)
