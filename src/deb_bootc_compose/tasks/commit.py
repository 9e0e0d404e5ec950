"""The OSTree commit of a tree, signed, in a repository of the compose's own. Its ref is set when it is published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deb_bootc_compose.earlier import paths_of
from deb_bootc_compose.lock import Lock, LockedParent, load_lock
from deb_bootc_compose.objects import can_link, commit_growing
from deb_bootc_compose.ostree import Commit, Repository, commit, fsck, init_repo, object_name, root_checksums, verify
from deb_bootc_compose.signing import open_signer
from deb_bootc_compose.tasks.tree import open_tree
from deb_bootc_compose.tree.make import Tree
from deb_bootc_compose.worker import Done, Task
from debcore.errors import CommandFailed, Failure
from debcore.openpgp import Signer
from debroot.sandbox import Bind
from debroot.store import Store


def run_task(task: Task) -> Done:
    params = task.params
    lock = load_lock(task.compose.lock_path)
    name, arch = params["key"].split(".")
    path = task.compose.output / name / arch / "ostree"
    path.mkdir(parents=True, exist_ok=True)
    signer = open_signer() if params["sign"] else None
    with open_tree(task) as (store, tree):
        fresh = not (path / "repo").exists()  # else its objects are those of a task that was killed
        repository = init_repo(store, path / "repo", suite=params["suite"])
        task.say(f"{params['ref']} {lock.version}")
        parent = (lock.parents or {}).get(params["key"])
        if parent is not None:
            take_parent(task, repository, parent, signer)
        made = _commit(task, repository, tree, lock, parent, signer, fresh=fresh)
        if signer is not None:
            verify(repository, params["ref"], signer.public_key())
        content, metadata = root_checksums(repository, made.checksum)
        # Until the gates have passed nobody finds it by its name.
        repository.run("refs", "--delete", params["ref"])
    repo = str((path / "repo").relative_to(task.compose.path))
    value = {
        "commit": made.checksum, "repo": repo, "ref": params["ref"], "version": lock.version,
        "root": [content, metadata], "key": signer.fingerprint if signer else None,
        "parent": parent.commit if parent else None,
    }  # fmt: skip
    # Not the configuration: ostree adds to it when the summary is made.
    return Done(value, (f"{repo}/{object_name(made.checksum, 'commit')}",))


def _commit(
    task: Task,
    repository: Repository,
    tree: Tree,
    lock: Lock,
    parent: LockedParent | None,
    signer: Signer | None,
    *,
    fresh: bool,
) -> Commit:
    """All objects are checked: those of the commit before while the tree is read, others at the end."""
    arguments: dict[str, Any] = {
        "ref": task.params["ref"], "version": lock.version, "timestamp": lock.timestamp, "signer": signer,
        "metadata": {"deb-bootc.lock": lock.content}, "parent": parent.commit if parent else None,
    }  # fmt: skip
    where = task.context.get("parent")
    if fresh and parent is not None and parent.compose and where is not None and can_link(repository, Path(where)):
        made = commit_growing(repository, tree, Path(where), **arguments)
        task.say(f"commit {made.checksum[:12]}")
        return made
    made = commit(repository, tree, **arguments)
    task.say(f"commit {made.checksum[:12]}; checking every object")
    fsck(repository)
    return made


def take_parent(task: Task, repository: Repository, parent: LockedParent, signer: Signer | None) -> None:
    """Its commit object, whose signature must be by the key that signs this compose: machines know no other.

    Errors: Failure. A lock that was given names a parent that need not be at hand: its checksum is enough then.
    """
    where = task.context.get("parent")
    if where is None:
        if task.context["locked"]:
            task.say(f"the parent {parent.commit[:12]} is the lock's; it is not here to be checked")
            return
        if damage := task.context.get("damage"):
            raise Failure(damage[0], hint=damage[1])
        raise Failure(
            f"the commit before, {parent.commit[:12]} of {parent.compose or 'a repository'}, is gone",
            hint="compose anew, or name the compose or the repository with --previous",
        )
    before = Repository(repository.store, repository.tools, Path(where))
    try:
        if signer is not None:
            verify(before, parent.commit, signer.public_key())
        source = Bind(source=before.path, target="/previous")
        repository.run("pull-local", "--disable-fsync", "--commit-metadata-only", "/previous", parent.commit,
                       binds=(source,))  # fmt: skip
    except (Failure, CommandFailed) as error:
        raise Failure(
            f"the commit before, {parent.version} in {where}, cannot be followed: {error}",
            hint="machines that run it would refuse this one; with --previous none nothing is followed",
        ) from error
    task.say(f"its parent is {parent.version} ({parent.commit[:12]}){', signed by our key' if signer else ''}")


def adopt(task: Task, found: Mapping[str, Any]) -> Done:
    """The commit and its signature pulled from the earlier compose's repository; every object is looked at."""
    value = found["result"]["value"]
    path = task.compose.path / value["repo"]
    path.parent.mkdir(parents=True, exist_ok=True)
    repository = init_repo(Store.open(), path, suite=task.params["suite"])
    source = Bind(source=Path(found["path"], value["repo"]), target="/earlier")
    repository.run("pull-local", "--disable-fsync", "--untrusted", "/earlier", value["commit"], binds=(source,))
    return Done(value, tuple(paths_of(found)))
