"""The compose before this one: its commits are the parents of this one's, and what machines update from.

It is the newest sibling that FINISHED; or a compose or an OSTree repository that the user names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deb_bootc_compose.directory import ComposeDirectory, Status, list_composes
from deb_bootc_compose.fallen import is_whole_but_failable
from deb_bootc_compose.journal import read_results
from deb_bootc_compose.lock import LockedImage, LockedParent
from deb_bootc_compose.ostree import object_name
from debcore.errors import Failure

NONE = "none"  #: said in the place of a path: begin anew
DAMAGED = "remove it and compose anew, or name what comes before with --previous (none: nothing does)"
VERSION_REF = re.compile(r"versions/(?P<version>[^/]+)/(?P<ref>.+)")


@dataclass(frozen=True)
class Previous:
    """Where to look. *own*: the compose that is being made. *given*: a path, "none", or None for its siblings."""

    own: ComposeDirectory
    given: str | None = None

    def find_parents(self, refs: Mapping[str, str]) -> dict[str, LockedParent]:
        """By NAME.ARCH, for *refs* of the same keys; what has none is left out.

        Errors: Failure if the compose before is damaged: leaving it out would not be what was asked.
        """
        if self.given == NONE:
            return {}
        if self.given is not None and not is_compose(Path(self.given)):
            found = {key: find_published(Path(self.given), ref) for key, ref in refs.items()}
            return {key: parent for key, parent in found.items() if parent is not None}
        parents: dict[str, LockedParent] = {}
        for compose in self._composes():
            for key, parent in parents_of(compose).items():
                if refs.get(key) == parent.ref:
                    parents.setdefault(key, parent)
        return parents

    def find_repository(self, key: str, parent: LockedParent) -> Path | None:
        """The repository that has *parent*'s commit; None if it is gone. Errors: Failure if that compose is damaged."""
        given = Path(self.given) if self.given not in (None, NONE) else None
        places = [given] if given is not None and not is_compose(given) else []
        for compose in self._named(parent):
            if made := results_of(compose).get(f"commit.{key}"):
                places.append(compose.path / made["repo"])
        name = object_name(parent.commit, "commit")
        return next((place for place in places if (place / name).is_file()), None)

    def find_layout(self, key: str, parent: LockedParent) -> Path | None:
        """The image layout of the compose that made *parent*; None if it is gone. Errors: Failure if damaged."""
        for compose in self._named(parent) if parent.digest is not None else ():
            made = results_of(compose).get(f"container.{key}", {})
            path = compose.path / str(made.get("path", ""))
            if made.get("digest") == parent.digest and (path / "oci-layout").is_file():
                return path
        return None

    def find_bootc(self, key: str, parent: LockedParent) -> dict[str, Any] | None:
        """What the tree of *parent* says of its bootc; None without one, or if its compose is gone. Errors: Failure."""
        found = [results_of(compose).get(f"tree.{key}", {}).get("bootc") for compose in self._named(parent)]
        return found[0] if found else None

    def find_image(self, key: str, parent: LockedParent) -> Path | None:
        """A disk image that boots *parent*'s commit, as it was delivered; None if there is none. Errors: Failure."""
        for compose in self._named(parent):
            results = results_of(compose)
            if results.get(f"commit.{key}", {}).get("commit") == parent.commit and f"image.{key}" in results:
                found = [compose.path / image["path"] for image in results[f"image.{key}"]["images"]]
                return next((path for path in reversed(found) if path.is_file()), None)
        return None

    def _named(self, parent: LockedParent) -> list[ComposeDirectory]:
        return [one for one in self._composes(any_status=True) if one.path.name == parent.compose]

    def _composes(self, *, any_status: bool = False) -> list[ComposeDirectory]:
        """Newest first."""
        if self.given is not None and self.given != NONE:
            return [ComposeDirectory(Path(self.given).resolve())] if is_compose(Path(self.given)) else []
        siblings = [one for one in list_composes(self.own.path.parent) if one.path != self.own.path]
        return [one for one in reversed(siblings) if any_status or _has_finished(one)]


def check_given(given: str | None) -> str | None:
    """The user's word as it is kept for `resume`. Errors: Failure if it names nothing that can come before."""
    if given is None or given == NONE:
        return given
    path = Path(given).resolve()
    if is_compose(path):
        status = ComposeDirectory(path).status()
        if not _has_finished(ComposeDirectory(path)):
            raise Failure(
                f"--previous: {path.name} is {status}: no machine runs it", hint="name one that is FINISHED, or none"
            )
    elif not (path / "objects").is_dir():
        raise Failure(
            f"--previous: {given} is neither a compose nor an OSTree repository",
            hint="name a compose directory, the repository that machines update from, or none",
        )
    return str(path)


def is_compose(path: Path) -> bool:
    return (path / "COMPOSE_ID").is_file()


def parents_of(compose: ComposeDirectory) -> dict[str, LockedParent]:
    """Its commits, by NAME.ARCH. Errors: Failure if the journal or a commit is damaged."""
    try:
        results = read_results(compose.journal_path)
        made = [task.removeprefix("commit.") for task in results if task.startswith("commit.")]
        left_out = results.get("publish", {}).get("left_out", ())
        return {key: _locked_parent(compose, key, results) for key in made if key not in left_out}
    except (Failure, OSError, KeyError, TypeError, ValueError) as error:
        raise damaged(compose, error) from error


def results_of(compose: ComposeDirectory) -> dict[str, dict[str, Any]]:
    """As `read_results`. Errors: Failure that says what to do, if the journal is damaged."""
    try:
        return read_results(compose.journal_path)
    except (Failure, OSError) as error:
        raise damaged(compose, error) from error


def damaged(compose: ComposeDirectory, error: BaseException) -> Failure:
    return Failure(f"the compose before, {compose.path.name}, is damaged: {error}", hint=DAMAGED)


def _locked_parent(compose: ComposeDirectory, key: str, results: Mapping[str, Mapping[str, Any]]) -> LockedParent:
    made, image = results[f"commit.{key}"], results.get(f"container.{key}")
    if not (compose.path / made["repo"] / object_name(made["commit"], "commit")).is_file():
        raise Failure(f"its commit {made['commit'][:12]} is missing")
    return LockedParent(
        commit=made["commit"], ref=made["ref"], version=made["version"], compose=compose.path.name,
        digest=image["digest"] if image else None,
        image=_locked_image(compose.path / image["path"]) if image else None,
    )  # fmt: skip


def _locked_image(layout: Path) -> LockedImage | None:
    """The plan of a layout; None if it is of a version that kept none."""
    document = json.loads((layout / "layers.json").read_bytes())
    layers = [layer for layer in document["layers"] if not layer["name"].startswith("base/")]  # those have their bytes
    if "plan" not in document or not layers:
        return None
    return LockedImage(
        plan=document["plan"], layers={one["diff_id"]: one["digest"] for one in layers},
        media_type=layers[0]["media_type"],
    )  # fmt: skip


def find_published(repo: Path, ref: str) -> LockedParent | None:
    """What *ref* names in a repository that `publish` keeps. Errors: Failure if it names no commit that is there."""
    heads = repo / "refs/heads"
    try:
        commit = (heads / ref).read_text().strip()
    except OSError:
        return None
    if not re.fullmatch(r"[0-9a-f]{64}", commit) or not (repo / object_name(commit, "commit")).is_file():
        raise Failure(f"{repo}: {ref} names no commit that is there", hint=f"check it: ostree fsck --repo={repo}")
    version = "?"
    for path in sorted(heads.glob(f"versions/*/{ref}")):
        match = VERSION_REF.fullmatch(str(path.relative_to(heads)))
        if match and match["ref"] == ref and path.read_text().strip() == commit:
            version = match["version"]
    return LockedParent(commit=commit, ref=ref, version=version)


def _has_finished(compose: ComposeDirectory) -> bool:
    """Whether machines may run it: all of it, or all but what was allowed to fail."""
    try:
        status = compose.status()
        if status is Status.FINISHED_INCOMPLETE:
            return is_whole_but_failable(compose)
        return status is Status.FINISHED
    except (Failure, OSError, ValueError):
        return False
