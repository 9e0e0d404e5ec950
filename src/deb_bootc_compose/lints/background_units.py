"""Units that change packages or write to /boot by themselves are masked, or enabled by a choice (contract 1.6)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.steps.units import MASKED, SYSTEM, VENDOR


def check(root: Root) -> Iterator[str]:
    presets = files.read_drop_ins(
        root.path, "etc/systemd/system-preset", "usr/lib/systemd/system-preset", suffix=".preset"
    )
    chosen = {line.split()[1] for _, text in presets for line in text.splitlines() if line.startswith("enable ")}
    for unit in MASKED:
        if os.path.lexists(root.path / VENDOR / unit) and unit not in chosen and not _is_masked(root, unit):
            yield f"{unit} is neither masked nor enabled by a preset: it has no business on a read-only /usr"


def _is_masked(root: Root, unit: str) -> bool:
    paths = (root.path / SYSTEM / unit, root.path / VENDOR / unit)
    return any(path.is_symlink() and files.read_link(path) == "/dev/null" for path in paths)


LINT = Lint(
    "background-units", "warning", "debian", "units that change packages or /boot by themselves are masked or chosen",
    check,
)  # fmt: skip
