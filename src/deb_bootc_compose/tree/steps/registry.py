"""The steps in their order. Where it matters: the audit comes before what is slow, what is left out goes before files
are added, scripts run before anything is judged, the identity goes before dracut could copy it, prepare-root.conf comes
before dracut that must, units and users before /var, normalise last.
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
    postprocess,
    prepare_root,
    remove,
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
    is_wanted: Callable[[FinishOptions], bool] = lambda _: True  #: false: the step has no commands
    called: Callable[[int], str] | None = None  #: what a person calls the command with this index


STEPS: tuple[Step, ...] = (
    Step("remove", remove.run),
    Step("add-files", add_files.run),
    Step(
        "postprocess",
        postprocess.run,
        postprocess.commands,
        is_wanted=postprocess.is_wanted,
        called=postprocess.called,
    ),
    Step("var-audit", state.check),
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
