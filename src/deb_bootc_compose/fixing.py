"""`lint --fix`: what would make /var and /etc pass, as a difference of the manifest or of an unpacked root."""

from __future__ import annotations

import difflib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.compose import load_started
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.lints import fix
from deb_bootc_compose.lints.model import Root
from deb_bootc_compose.manifest.document import load_document
from deb_bootc_compose.manifest.suggest import Rule, edit, lines_of, suggest
from deb_bootc_compose.plan import key
from deb_bootc_compose.tasks.tree import spec_of
from deb_bootc_compose.tree.make import audit_var
from deb_bootc_compose.worker import Task
from debcore.errors import Failure
from debcore.path import write_file
from debroot.store import Store


@dataclass(frozen=True)
class Fix:
    """What would change. `lines`: for a person. `apply` is not called before they were shown."""

    lines: tuple[str, ...]
    path: Path
    text: str = ""  #: of a manifest
    changes: tuple[fix.Change, ...] = ()  #: of a root

    def apply(self) -> None:
        if self.changes:
            fix.apply(Root(self.path), self.changes)
        elif self.lines:
            write_file(self.path, self.text)


def fix_root(path: Path) -> Fix:
    """Of a root file system unpacked at *path*. Errors: Failure."""
    changes = fix.plan_fixes(Root(path))
    return Fix(tuple(fix.show(changes)), path, changes=tuple(changes))


def fix_manifest(directory: ComposeDirectory) -> Fix:
    """Of the manifest of a compose whose audit of /var failed. Errors: Failure if it does not have its lock yet."""
    started = load_started(directory)
    path = started.manifest.path
    store = Store.open()
    add: list[Rule] = []
    drop: list[int] = []
    for spec in started.manifest.specs:
        audit = audit_var(store, spec_of(_task(directory, f"tree.{key(spec)}"), store))
        add += [rule for rule in suggest(map(tuple, audit["unknown"])) if rule not in add]
        origins = [
            started.manifest.origins.get(f"variants.{key(spec)}.var.rules.{index}.path", "")
            for index, rule in enumerate(spec.variant.var.rules)
            if rule.path in audit["stale"]
        ]
        drop += lines_of(origins, path)
    load_document(path)  # bounded and well-formed, before its lines are counted
    before = path.read_text()
    lines = before.split("\n")
    text = edit(before, str(path), add=add, drop=[line for line in drop if "action:" in lines[line - 1]])
    shown = difflib.unified_diff(
        before.splitlines(), text.splitlines(), f"a/{path.name}", f"b/{path.name}", lineterm=""
    )
    return Fix(tuple(shown), path, text=text)


def _task(directory: ComposeDirectory, name: str) -> Task:
    """The task as it was told, to look at what it makes."""
    path = directory.work / "tasks" / name / "input.json"
    try:
        return Task(directory, json.loads(path.read_bytes()), io.BytesIO())
    except (OSError, ValueError) as error:
        raise Failure(
            f"{directory.id}: {name} was not begun", hint=f"deb-bootc-compose resume {directory.path}"
        ) from error


def explain(fixes: Sequence[str], *, written: bool) -> str:
    """What to do next."""
    if not fixes:
        return "nothing to change below /var and /etc"
    return "done; compose or lint again" if written else "look at it, then: the same with --write"
