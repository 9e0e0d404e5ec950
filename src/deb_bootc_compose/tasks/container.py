"""The OCI image layout of a tree. Its tags are set when it is published."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deb_bootc_compose.derive.base import load_layout_below, load_tree_below
from deb_bootc_compose.earlier import paths_of
from deb_bootc_compose.lock import LockedParent, load_lock
from deb_bootc_compose.oci.content import hash_file
from deb_bootc_compose.oci.image import Base, ImageConfig, write_layout
from deb_bootc_compose.oci.plan import Rule
from deb_bootc_compose.tasks.tree import open_tree
from deb_bootc_compose.worker import Done, Task
from debcore.errors import Failure
from debcore.path import write_file

#: OCI image layout, annotation of a descriptor in index.json.
REF_NAME = "org.opencontainers.image.ref.name"


def run_task(task: Task) -> Done:
    params, output = task.params, task.params["output"]
    lock = load_lock(task.compose.lock_path)
    derived = lock.variants[params["key"]].derived
    name, arch = params["key"].split(".")
    path = task.compose.output / name / arch / "oci"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():  # of a task that was killed after it and before its result
        shutil.rmtree(path)
    config = ImageConfig(
        version=lock.version, timestamp=lock.timestamp, title=params["title"], labels=dict(output["labels"]),
        compression=output["compression"], max_layers=output["max-layers"], by_name=output["plan"] == "by-name",
        rules=tuple(Rule(one["name"], tuple(one["packages"]), tuple(one["paths"])) for one in output["layers"]),
        base_name=derived.name if derived else "",
        base_digest=derived.digest if derived and derived.kind == "image" else "",
    )  # fmt: skip
    parent = (lock.parents or {}).get(params["key"])
    previous = task.context.get("previous")
    if damage := task.context.get("damage"):
        task.say(f"all layers are made anew: {damage[0]}")
    with open_tree(task) as (store, tree):
        layout = load_layout_below(store, derived) if derived else None
        base = (
            Base(layout.root, derived.digest, load_tree_below(store, derived).root) if derived and layout else None
        )  # fmt: skip
        task.say(f"{output['name']} {lock.version}, layers in {output['compression']}")
        image = write_layout(
            store, tree, path, config, before=describe_before(parent), previous=Path(previous) if previous else None,
            base=base,
        )  # fmt: skip
    known = set(parent.image.layers.values()) if parent and parent.image else set()
    new = sum(layer["size"] for layer in image.plan["layers"] if layer["digest"] not in known)
    update = f", {new / 1e6:.0f} MB of them new since {parent.version}" if parent and known else ""
    task.say(f"{image.digest[:19]}: {image.layers} layers, {image.size / 1e6:.0f} MB{update}")
    layers = [
        {key: layer[key] for key in ("name", "digest", "diff_id", "size") if key in layer}
        for layer in image.plan["layers"]
    ]
    where = str(path.relative_to(task.compose.path))
    value = {"digest": image.digest, "path": where, "size": image.size, "layers": layers, "name": output["name"]}
    # Not index.json: publishing writes the tags into it.
    manifest = f"{where}/blobs/sha256/{image.digest.removeprefix('sha256:')}"
    return Done(value, (manifest, f"{where}/oci-layout", f"{where}/layers.json"))


def describe_before(parent: LockedParent | None) -> dict[str, Any]:
    """What the lock says of the image before, as layers.json has it."""
    if parent is None or parent.image is None:
        return {}
    image = parent.image
    layers = [{"diff_id": key, "digest": value, "media_type": image.media_type} for key, value in image.layers.items()]
    return {"plan": {layer: list(names) for layer, names in image.plan.items()}, "layers": layers}


def adopt(task: Task, found: Mapping[str, Any]) -> Done:
    """Blobs are linked, if each is what its name says; the index begins without tags."""
    value = found["result"]["value"]
    source, target = Path(found["path"], value["path"]), task.compose.path / value["path"]
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=os.link)
    for blob in (target / "blobs/sha256").iterdir():
        if hash_file(blob) != blob.name:
            raise Failure(f"{blob.name[:12]} of the layout is damaged there")
    write_index(target, value["digest"], [])
    return Done(value, tuple(paths_of(found)))


def write_index(layout: Path, digest: str, tags: list[str]) -> None:
    """Name the image *digest* in index.json: one descriptor for each tag, or one without a name.

    Errors: Failure if the layout has no such image. Source: OCI image layout specification, index.json.
    """
    path = layout / "index.json"
    index = json.loads(path.read_bytes())
    found = next((m for m in index["manifests"] if m["digest"] == digest), None)
    if found is None:
        raise Failure(f"{path} does not hold {digest}", hint="resume the compose")
    plain = {key: value for key, value in found.items() if key != "annotations"}
    notes = {key: value for key, value in found.get("annotations", {}).items() if key != REF_NAME}
    named = [{**plain, "annotations": {**notes, REF_NAME: tag}} for tag in tags]
    index["manifests"] = named or [{**plain, **({"annotations": notes} if notes else {})}]
    write_file(path, json.dumps(index, sort_keys=True, separators=(",", ":")) + "\n")
