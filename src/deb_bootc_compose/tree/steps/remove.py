"""Leave out files of packages, and paths, that the manifest names; and links that lead to what dpkg left out.

It comes before the manifest's own files, so that one of these may stand in the place of what went.
"""

from __future__ import annotations

import re
from pathlib import Path

from deb_bootc_compose.tree import dpkg, files
from deb_bootc_compose.tree.spec import FinishOptions, State
from debcore.errors import Failure
from debcore.path import inside

#: Where paths may be left out by dpkg's filters.
FILTERED = ("doc", "man", "info", "help", "locale", "lintian", "doc-base")


def run(tree: Path, options: FinishOptions, state: State) -> None:
    del state
    if options.remove_from_packages:
        names = {package.name for package in dpkg.load_installed(tree)}
        for index, rule in enumerate(options.remove_from_packages):
            _remove_from(tree, f"remove-from-packages.{index}", rule, names)
    for index, path in enumerate(options.remove_files):
        name = path.lstrip("/")
        at = _resolve(tree, name)
        if not files.exists(at):
            raise Failure(
                f"remove-files.{index}: the tree has no {path}", hint="take it out of the list, if it went for good"
            )
        files.remove(at)
    if options.dpkg_options:
        _remove_dangling(tree)


def _remove_from(tree: Path, where: str, rule: tuple[str, ...], installed: set[str]) -> None:
    """Files and links that match, then directories that match and have nothing left in them."""
    package, *patterns = rule
    if package not in installed:
        raise Failure(
            f"{where}: the tree has no package {package}", hint="take the rule out, or add it to the packages"
        )
    listed = [name for name in dpkg.load_paths(tree, package) if files.exists(_resolve(tree, name))]
    for pattern in patterns:
        found = [name for name in listed if re.fullmatch(pattern, f"/{name}")]
        if not found:
            raise Failure(
                f"{where}: no file of {package} matches {pattern!r}",
                hint=f"the whole path must match; `dpkg -L {package}` lists them",
            )
        if state := next((name for name in found if name.startswith("var/")), None):
            raise Failure(
                f"{where}: {pattern!r} matches /{state}, which is state",
                hint="a rule of `var` with `action: discard` leaves it out",
            )
        for name in reversed(found):  # what is in a directory comes after it
            path = _resolve(tree, name)
            if not path.is_dir() or path.is_symlink():
                files.remove(path)
            elif not files.names(path):
                path.rmdir()


def _resolve(tree: Path, name: str) -> Path:
    """Where *name* is: links of its parents resolved inside the tree, its own not."""
    parent, _, last = name.rpartition("/")
    return inside(tree, parent) / last


def _remove_dangling(tree: Path) -> None:
    """dpkg keeps a link whose name begins as that of something that is kept, whatever it leads to."""
    for place in FILTERED:
        for entry in list(files.walk(tree, f"usr/share/{place}")):
            if not entry.is_link:
                continue
            target = files.read_link(entry.path)
            name = target if target.startswith("/") else f"{entry.name.rpartition('/')[0]}/{target}"
            if not inside(tree, name.lstrip("/")).exists():
                files.remove(entry.path)
