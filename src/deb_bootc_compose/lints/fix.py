"""What would make a tree's /var and /etc pass their audits: lines of tmpfiles.d, presets, and what goes.

Nothing is changed before `apply`: the plan is shown as a difference first.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deb_bootc_compose.lints.model import Root
from deb_bootc_compose.tree import dpkg, files, var
from deb_bootc_compose.tree.steps.state import OURS
from deb_bootc_compose.tree.steps.units import PRESET, is_enablement

SYSTEM = "etc/systemd/system/"


@dataclass(frozen=True)
class Change:
    """One path: new text for it, its content kept below /usr/share/factory, or nothing of it left."""

    path: str  #: relative to the tree
    before: str | None = None
    after: str | None = None
    kept: bool = False  #: its content goes to /usr/share/factory first
    why: str = ""


def plan_fixes(root: Root) -> list[Change]:
    """All changes, those of texts first. Errors: Failure for an owner without a name, or a name that is no text."""
    lines, gone = _of_var(root)
    units = [entry for entry in root.below(SYSTEM.rstrip("/")) if is_enablement(entry)]
    names = sorted({files.read_link(entry.path).rpartition("/")[2] for entry in units})
    texts = [
        _with_lines(root.read(OURS) or "", OURS, lines, last=""),
        _with_lines(root.read(PRESET) or "", PRESET, [f"enable {name}" for name in names], last="disable *"),
    ]
    links = [Change(entry.name, why="a preset enables it at the first boot") for entry in units]
    return [*(text for text in texts if text.before != text.after), *links, *gone]


def _with_lines(text: str, path: str, lines: Sequence[str], *, last: str) -> Change:
    """*lines* that *text* lacks, before the line *last* if it is there: the first that fits counts."""
    have = text.splitlines()
    new = [line for line in lines if line not in have]
    at = have.index(last) if last in have else len(have)
    made = [*have[:at], *new, *have[at:]] if new else have
    return Change(path, before=text, after="".join(f"{line}\n" for line in made) if new else text)


def _of_var(root: Root) -> tuple[list[str], list[Change]]:
    """Lines of tmpfiles.d, and what goes from /var."""
    entries = {f"/{entry.name}": entry for entry in root.below("var")}
    verdicts = var.classify(
        [(path, entry.is_file) for path, entry in entries.items()], rules=var.BUILT_IN,
        declared=var.declared_paths(root.path),
        owned=frozenset(f"/{name}" for name in dpkg.load_owners(root.path)),
    )  # fmt: skip
    names = var.Names(root.path)
    lines: list[str] = []
    gone: list[Change] = []
    for verdict in verdicts:
        entry, name = entries[verdict.path], verdict.path.lstrip("/")
        kept = any(verdict.path == path or path.startswith(f"{verdict.path}/") for path, *_ in var.KEPT)
        if verdict.action == "discard" and not kept:
            if not any(name.startswith(f"{other.path}/") for other in gone):
                gone.append(Change(name, why="a cache, a log or a leftover"))
        elif verdict.action in ("tmpfiles", "unknown"):
            lines.append(var.tmpfiles_line(root.path, verdict.path, names))
            if entry.is_file:
                gone.append(Change(name, kept=True, why="made at boot from /usr/share/factory"))
    return lines, gone


def show(changes: Sequence[Change]) -> Iterator[str]:
    """The difference for a person: texts as `diff -u` has them, then a line for each path that goes."""
    for change in changes:
        name = files.shown(change.path)
        if change.after is not None:
            before, after = ((text or "").splitlines() for text in (change.before, change.after))
            origin = f"a/{name}" if change.before else "/dev/null"
            yield from difflib.unified_diff(before, after, origin, f"b/{name}", lineterm="")
        elif change.kept:
            yield f"move /{name} -> /{var.FACTORY}/{name} ({change.why})"
        else:
            yield f"remove /{name} ({change.why})"


def apply(root: Root, changes: Sequence[Change]) -> None:
    """Make *changes*. What is kept is there before the text that names it, and that before anything goes."""
    for change in changes:
        if change.kept:
            var.keep_content(root.path, f"/{change.path}")
    for change in changes:
        if change.after is not None:
            files.write(root.path, change.path, change.after)
    for change in changes:
        if change.after is None:
            files.remove(root.path / change.path)
