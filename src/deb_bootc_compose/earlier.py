"""Results of earlier composes in the same target directory, found by identity: what was made once is linked, not made.

Finished composes are never changed and unfinished ones only replace files whole, so a hard link is as good as a copy.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deb_bootc_compose.directory import ComposeDirectory, list_composes
from deb_bootc_compose.graph import is_whole
from deb_bootc_compose.journal import Entry, read_journal
from deb_bootc_compose.lock import Lock, load_lock
from debcore.errors import Failure

log = logging.getLogger(__name__)

#: Kinds whose inputs are all in their identity. The others look at the world (archive, hub) or cost nothing.
KINDS = frozenset(
    {
        "lint", "commit", "container", "replay", "image", "boot", "update", "fallback", "bootc-install",
        "bootc-upgrade",
    }
)  # fmt: skip
DEPTH = 10  #: newest composes that are looked at


class Earlier:
    """Looks into journals when first asked."""

    def __init__(self, own: ComposeDirectory) -> None:
        self._own = own
        self._found: dict[str, tuple[ComposeDirectory, Entry]] | None = None

    def find(self, identity: str) -> Mapping[str, Any] | None:
        """{"path": the compose, "result": …} of a task with this identity whose files are all there."""
        if self._found is None:
            self._found = dict(self._read())
        if identity not in self._found:
            return None
        compose, entry = self._found[identity]
        if not all(is_whole(compose.path, file) for file in entry.data["files"]):
            return None
        return {"path": str(compose.path), "result": entry.data["result"]}

    def _read(self) -> dict[str, tuple[ComposeDirectory, Entry]]:
        found: dict[str, tuple[ComposeDirectory, Entry]] = {}
        for compose in self._siblings():
            try:
                entries = list(read_journal(compose.journal_path))
            except (OSError, Failure) as error:
                log.warning("%s is damaged, nothing is taken from it: %s", compose.path.name, error)
                continue
            found |= {one.data["identity"]: (compose, one) for one in entries if one.type == "task.finished"}
        return found

    def _siblings(self) -> list[ComposeDirectory]:
        """Oldest first."""
        return [one for one in list_composes(self._own.path.parent) if one.path != self._own.path][-DEPTH:]

    def find_lock(self) -> Path | None:
        """The lock of the newest compose that finished."""
        for compose in reversed(self._siblings()):
            try:
                if compose.status().is_final and compose.lock_path.is_file():
                    return compose.lock_path
            except (OSError, ValueError):
                continue
        return None


def load_earlier_lock(path: str | None) -> Lock | None:
    try:
        return load_lock(Path(path)) if path else None
    except Failure:
        return None


def link_file(source: Path, target: Path) -> None:
    """A hard link, or a sparse-aware copy on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def describe(found: Mapping[str, Any]) -> str:
    return Path(str(found["path"])).name


def paths_of(found: Mapping[str, Any]) -> list[str]:
    """Files and directories of an earlier result, below its compose directory."""
    files: list[dict[str, Any]] = found["result"]["files"]
    return [str(file["path"]) for file in files]
