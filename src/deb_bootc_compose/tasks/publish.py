"""Publish, after every gate has passed: the OSTree ref, the OCI tags, checksums, the link to the newest compose."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.metadata import checksums
from deb_bootc_compose.oci.index import Part, make_index
from deb_bootc_compose.ostree import find_ref, init_repo, sign_summary
from deb_bootc_compose.signing import open_signer
from deb_bootc_compose.tasks.container import write_index
from deb_bootc_compose.tasks.metadata import standing
from deb_bootc_compose.worker import Done, Task
from debcore.path import remove_torn, write_file
from debroot import owned
from debroot.idmap import find_idmap
from debroot.store import Store


def run_task(task: Task) -> Done:
    done: list[str] = []
    remove_leftovers(task.compose.output)
    remove_torn(task.compose.logs)
    variants, fallen = standing(task)
    for key in fallen:
        drop_output(task, key)
    for key, variant in variants.items():
        commit = task.inputs.get(f"commit.{key}")
        if commit is not None:
            set_ref(task, commit, variant["ref"])
            done.append(f"ref {variant['ref']}")
        container = task.inputs.get(f"container.{key}")
        if container is not None and task.params["tags"].get(key):
            write_index(task.compose.path / container["path"], container["digest"], task.params["tags"][key])
            done.append(f"tags {', '.join(task.params['tags'][key])}")
    indexes = make_indexes(task)
    done += [f"index of {name}, {len(one['arches'])} architectures" for name, one in indexes.items()]
    for key, name in task.context["ledgers"].items():
        if key in variants:
            keep_ledger(task, task.compose.work / f"ids.{key}", Path(name))
    task.say("checksums")
    sums = checksums(task.compose.output, leave_out=("repo",), known=known_hashes(task))
    write_file(task.compose.output / "SHA256SUMS", "".join(f"{digest}  {name}\n" for name, digest in sums))
    if task.params["latest_link"]:
        release = task.params["release"]
        move_link(task.compose, f"latest-{release['short']}-{release['version']}")
    for text in done:
        task.say(text)
    value: dict[str, Any] = {"published": done, "indexes": indexes}
    return Done({**value, "left_out": fallen} if fallen else value, ("compose/SHA256SUMS",))


def drop_output(task: Task, key: str) -> None:
    """What was made of *key* before it failed goes: all that is here is published. Its commit has no ref."""
    name, arch = (task.params["variants"][key][word] for word in ("name", "arch"))
    path = task.compose.output / name / arch
    if path.exists():
        owned.remove_tree(path, find_idmap())
    task.say(f"{key}: left out, as it failed")


def remove_leftovers(output: Path) -> None:
    """Files that a task was writing when it was killed: nobody writes here any more, and all that is here goes out."""
    for directory, names, _ in os.walk(output):
        names[:] = [name for name in names if name != "repo"]  # ostree's own
        remove_torn(Path(directory))


def make_indexes(task: Task) -> dict[str, dict[str, Any]]:
    """VARIANT → the layout with the images of all its architectures, where it has more than one."""
    parts: dict[str, list[Part]] = {}
    tags: dict[str, list[str]] = {}
    for key, variant in task.params["variants"].items():
        container = task.inputs.get(f"container.{key}")
        if container is not None:
            part = Part(variant["arch"], task.compose.path / container["path"], container["digest"])
            parts.setdefault(variant["name"], []).append(part)
            tags.setdefault(variant["name"], task.params["tags"].get(key, []))
    found = {}
    for name, images in parts.items():
        if len(images) > 1:
            made = make_index(images, task.compose.output / name / "oci", tags=tags[name])
            where = str(made.layout.relative_to(task.compose.path))
            found[name] = {"digest": made.digest, "path": where, "arches": sorted(part.arch for part in images)}
    return found


def known_hashes(task: Task) -> dict[str, str]:
    """Disk images by what their task said; blobs of a layout by their names."""
    known: dict[str, str] = {}
    for name, value in task.inputs.items():
        if name.startswith("image."):
            known |= {image["path"].removeprefix("compose/"): image["sha256"] for image in value["images"]}
        if name.startswith("container."):
            blobs = task.compose.path / value["path"] / "blobs/sha256"
            known |= {str(blob.relative_to(task.compose.output)): blob.name for blob in blobs.iterdir()}
    for layout in task.compose.output.glob("*/oci"):
        known |= {str(b.relative_to(task.compose.output)): b.name for b in (layout / "blobs/sha256").iterdir()}
    return known


def set_ref(task: Task, commit: Mapping[str, Any], ref: str) -> None:
    """The ref, and a summary that names it, signed as the commit is."""
    repository = init_repo(Store.open(), task.compose.path / commit["repo"], suite=task.params["suite"])
    if find_ref(repository, ref) is None:
        repository.run("refs", f"--create={ref}", commit["commit"])
    sign_summary(repository, open_signer() if commit["key"] else None)


def keep_ledger(task: Task, made: Path, ledger: Path) -> None:
    """The ids of the first compose become the ledger; later ones are held to it and only told what they add."""
    if not ledger.exists():
        write_file(ledger, made.read_bytes())
        task.say(f"the users and groups of this image are pinned in {ledger} from now on: keep it with the manifest")
        return
    lines = set(ledger.read_text().splitlines())
    new = [line for line in made.read_text().splitlines() if line and not line.startswith("#") and line not in lines]
    if new:
        task.say(f"not pinned yet, add to {ledger}: {'; '.join(new)}")


def move_link(compose: ComposeDirectory, name: str) -> None:
    """TARGET/NAME → the compose, switched by rename."""
    target = compose.path.parent
    temporary = target / f".{name}.{compose.id}"  # a later attempt takes the place of one that was killed
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(compose.path.name)
    temporary.rename(target / name)
