"""The OSTree commit of a tree, signed, in a repository of the compose's own. Its ref is set when it is published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deb_bootc_compose.earlier import paths_of
from deb_bootc_compose.lock import load_lock
from deb_bootc_compose.ostree import commit, fsck, init_repo, object_name, root_checksums, verify
from deb_bootc_compose.signing import open_signer
from deb_bootc_compose.tasks.tree import open_tree
from deb_bootc_compose.worker import Done, Task
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
        repository = init_repo(store, path / "repo", suite=params["suite"])
        task.say(f"{params['ref']} {lock.version}")
        made = commit(
            repository, tree, ref=params["ref"], version=lock.version, timestamp=lock.timestamp, signer=signer
        )
        task.say(f"commit {made.checksum[:12]}; checking every object")
        fsck(repository)
        if signer is not None:
            verify(repository, params["ref"], signer.public_key())
        content, metadata = root_checksums(repository, made.checksum)
        # Until the gates have passed nobody finds it by its name.
        repository.run("refs", "--delete", params["ref"])
    repo = str((path / "repo").relative_to(task.compose.path))
    value = {
        "commit": made.checksum, "repo": repo, "ref": params["ref"], "version": lock.version,
        "root": [content, metadata], "key": signer.fingerprint if signer else None,
    }  # fmt: skip
    # Not the configuration: ostree adds to it when the summary is made.
    return Done(value, (f"{repo}/{object_name(made.checksum, 'commit')}",))


def adopt(task: Task, found: Mapping[str, Any]) -> Done:
    """The commit and its signature pulled from the earlier compose's repository."""
    value = found["result"]["value"]
    path = task.compose.path / value["repo"]
    path.parent.mkdir(parents=True, exist_ok=True)
    repository = init_repo(Store.open(), path, suite=task.params["suite"])
    source = Bind(source=Path(found["path"], value["repo"]), target="/earlier")
    repository.run("pull-local", "--disable-fsync", "/earlier", value["commit"], binds=(source,))
    return Done(value, tuple(paths_of(found)))
