"""Whoever makes the initramfs again makes the same kind: for any machine, the same bytes (K4)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files

WANTED = {"hostonly": "no", "reproducible": "yes"}
PLACES = ("etc/dracut.conf.d", "usr/lib/dracut/dracut.conf.d")


def check(root: Root) -> Iterator[str]:
    if not (root.path / "usr/bin/dracut").exists():
        return
    values: dict[str, str] = {}
    for _, text in files.read_drop_ins(root.path, *PLACES):
        for line in text.splitlines():
            key, equals, value = line.strip().partition("=")
            if equals:
                values[key] = value.strip("\"' ")
    for key, value in WANTED.items():
        if values.get(key) != value:
            yield f"dracut's {key} is {values.get(key, 'not set')}, not {value}"


LINT = Lint("dracut-conf", "warning", "debian", "dracut makes an initramfs for any machine, reproducibly", check)
