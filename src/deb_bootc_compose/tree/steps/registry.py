"""The steps in their order. Where it matters: the audit comes before what is slow, the identity goes before dracut
could copy it, prepare-root.conf comes before dracut that must, units and users before /var, normalise last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.tree.spec import FinishOptions, State
from deb_bootc_compose.tree.steps import (
    add_files,
    bytecode,
    certificates,
    debs,
    identity,
    initramfs,
    kernel,
    layout,
    normalise,
    prepare_root,
    state,
    units,
    users,
)


@dataclass(frozen=True)
class Step:
    """One step: `run` from outside the tree first, then `commands` with the tree as /."""

    name: str
    run: Callable[[Path, FinishOptions, State], None]
    commands: Callable[[FinishOptions, State], list[list[str]]] | None = None
    stdin: Callable[[State], bytes] | None = None


STEPS: tuple[Step, ...] = (
    Step("var-audit", state.check),
    Step("add-files", add_files.run),
    Step("kernel", kernel.run),
    Step("prepare-root", prepare_root.run),
    Step("identity", identity.run),
    Step("initramfs", initramfs.run, initramfs.commands),
    Step("bytecode", bytecode.run, bytecode.commands, bytecode.stdin),
    Step("certificates", certificates.run),
    Step("units", units.run),
    Step("users", users.run),
    Step("layout", layout.run),
    Step("state", state.run),
    Step("debs", debs.run),
    Step("normalise", normalise.run),
)
