"""/var: audited path by path, package state moved below /usr, the rest declared or dropped (L9, S2–S6).

Afterwards /var holds only directories and links that tmpfiles.d also makes: apt and dpkg work in a container or an
image derived from this one, and a machine whose /var is older or empty gets them at boot.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from deb_bootc_compose.tree import dpkg, files, var
from deb_bootc_compose.tree.spec import FinishOptions, State
from deb_bootc_compose.tree.systemdconf import load_names

#: Files of the dpkg and debconf databases that are locks, backups or history.
HISTORY = (
    "lock",
    "lock-frontend",
    "triggers/Lock",
    "status-old",
    "diversions-old",
    "statoverride-old",
    "available-old",
)
OURS = "usr/lib/tmpfiles.d/00-image.conf"


def run(tree: Path, options: FinishOptions, state: State) -> None:
    audit(tree, options, state)
    images = [path for path, action in sorted(state.var.items()) if action == "image"]
    moved = [path for path in images if not any(path.startswith(f"{other}/") for other in images)]
    for path in moved:
        if not var.is_kept(tree, path):
            _move(tree, path)
    files.empty(tree / "var")
    kept = _make_kept(tree)
    links = []
    for path in moved:
        target = os.path.relpath(f"/{var.SYSIMAGE}/{var.sysimage_name(path)}", path.rpartition("/")[0])
        links.append(f"L {path} - - - - {target}")
        files.link(tree, path.lstrip("/"), target)
    _clean_databases(tree)
    declared = var.declared_paths(tree)
    parents = sorted({str(p) for x in moved for p in Path(x).parents if str(p).startswith("/var/")} - declared)
    earlier = [line for line in (files.read_text(tree, OURS) or "").split("\n") if line and not line.startswith("#")]
    lines = [*earlier, *state.tmpfiles, *(f"d {p} 0755 root root -" for p in parents), *kept, *links]
    unique = sorted(dict.fromkeys(lines), key=lambda line: line.split(" ")[1])
    text = "# What machines need below /var, and where the image keeps state that belongs to it.\n"
    files.write(tree, OURS, text + "".join(f"{line}\n" for line in _first_of_each(unique)))


def check(tree: Path, options: FinishOptions, state: State) -> None:
    """The audit alone, before the slow steps: what nobody classified should not be told after minutes."""
    del state
    classify(tree, options)


def classify(tree: Path, options: FinishOptions) -> list[var.Verdict]:
    """A verdict for every path below /var. Errors: Failure for unknown paths and for rules without any path."""
    verdicts = judge(tree, options)
    var.check_known(verdicts)
    var.check_stale(options.var_rules, verdicts)
    return verdicts


def judge(tree: Path, options: FinishOptions) -> list[var.Verdict]:
    """A verdict for every path below /var, also where it is that nobody knows."""
    entries = list(files.walk(tree, "var"))
    owned = frozenset(f"/{name}" for name in dpkg.load_owners(tree))
    verdicts = var.classify(
        [(f"/{e.name}", e.is_file) for e in entries],
        rules=(*options.var_rules, *var.BUILT_IN),
        declared=var.declared_paths(tree),
        owned=owned,
    )
    kept = {f"/{e.name}" for e in entries if var.is_kept(tree, f"/{e.name}")}
    verdicts = [var.Verdict(v.path, "image", v.rule) if v.path in kept else v for v in verdicts]
    if options.var_fix:
        verdicts = [var.Verdict(v.path, "tmpfiles") if v.action == "unknown" else v for v in verdicts]
    return verdicts


def audit(tree: Path, options: FinishOptions, state: State) -> None:
    """Put the verdicts into `state.var`, and collect the lines that make what is declared."""
    verdicts = classify(tree, options)
    state.var = {v.path: v.action for v in verdicts}
    names = var.Names(tree)
    declared = var.declared_paths(tree)
    for verdict in verdicts:
        if verdict.action == "tmpfiles" and verdict.path not in declared:
            line = var.tmpfiles_line(tree, verdict.path, names)
            if line.startswith("C "):
                var.keep_content(tree, verdict.path)
            state.tmpfiles.append(line)


def _move(tree: Path, path: str) -> None:
    place = tree / var.SYSIMAGE / var.sysimage_name(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    files.remove(place)
    shutil.move(tree / path.lstrip("/"), place)


def _make_kept(tree: Path) -> list[str]:
    lines = []
    users = {fields[0]: int(fields[2]) for fields in load_names(tree, "passwd")}
    for path, mode, user, group in var.KEPT:
        if user not in users:
            continue
        at = files.make_parents(tree, path.lstrip("/"))
        at.mkdir(exist_ok=True)
        at.chmod(int(mode, 8))
        os.chown(at, users[user], 0)
        if path != "/var/tmp":  # noqa: S108 — a path of the image; systemd's own tmp.conf has it
            lines.append(f"d {path} {mode} {user} {group} -")
    return lines


def _clean_databases(tree: Path) -> None:
    admindir = tree / dpkg.IMAGE_ADMINDIR
    for name in HISTORY:
        files.remove(admindir / name)
    for name in ("config.dat-old", "templates.dat-old", "passwords.dat-old"):
        files.remove(tree / var.SYSIMAGE / "debconf" / name)
    for name in ("hashfile.0", "registry.0", "hashfile.1", "registry.1"):
        files.remove(tree / var.SYSIMAGE / "ucf" / name)


def _first_of_each(lines: list[str]) -> list[str]:
    """One line for each path: the first, as systemd would take it."""
    seen: dict[str, str] = {}
    for line in lines:
        seen.setdefault(line.split(" ")[1], line)
    return list(seen.values())
