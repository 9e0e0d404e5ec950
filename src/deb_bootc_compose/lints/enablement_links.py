"""Units are enabled by presets: an image's link in /etc comes back after a machine removed it (S11)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    for entry in root.below("etc/systemd"):
        if entry.is_link and entry.name.rsplit("/", 2)[-2].endswith((".wants", ".requires", ".upholds")):
            yield f"/{entry.name}"


LINT = Lint("enablement-links", "warning", "debian", "no unit is enabled by a link in /etc", check)
