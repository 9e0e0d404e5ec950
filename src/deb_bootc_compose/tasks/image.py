"""Disk images of one variant: a raw one that boots by itself under UEFI, and the same disk in other formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deb_bootc_compose.disk.check import check_disk
from deb_bootc_compose.disk.convert import FORMATS, make_image
from deb_bootc_compose.disk.fingerprint import fingerprint
from deb_bootc_compose.disk.image import Remote, make_disk
from deb_bootc_compose.disk.layout import default_kargs
from deb_bootc_compose.earlier import link_file, paths_of
from deb_bootc_compose.lock import LockedVariant, load_lock
from deb_bootc_compose.oci.content import hash_file
from deb_bootc_compose.signing import open_signer
from deb_bootc_compose.worker import Done, Task
from debcore.errors import BuildFailed, Failure
from debroot.store import Store

GIB = 1024**3
#: A system of packages of 100 MB takes 450 MB; an update needs as much again, and people want room for their own.
GROWTH = 16


def run_task(task: Task) -> Done:
    params = task.params
    store = Store.open()
    lock = load_lock(task.compose.lock_path)
    variant = lock.variants[params["key"]]
    name, arch = params["key"].split(".")
    out = task.compose.output / name / arch / "images"
    out.mkdir(parents=True, exist_ok=True)
    wanted = [*params["images"]] or [{"type": "raw", "size": None}]
    filesystem = wanted[0].get("filesystem", "ext4")  # the same of all: manifest.model.Outputs
    sizes = {image["size"] * 1024**2 if image["size"] else disk_size(variant) for image in wanted}
    stem = f"{params['short']}-{lock.version}-{name}.{arch}"
    made: list[dict[str, Any]] = []
    for size in sorted(sizes):
        of_size = [i for i in wanted if (i["size"] * 1024**2 if i["size"] else disk_size(variant)) == size]
        suffix = "" if len(sizes) == 1 else f".{size // 1024**2}M"
        types = {i["type"] for i in of_size}
        made += _make(task, store, variant, lock.timestamp, out, f"{stem}{suffix}", size, types, filesystem)
    return Done({"images": made}, tuple(image["path"] for image in made))


def adopt(task: Task, found: Mapping[str, Any]) -> Done:
    """The images of an earlier compose, if they still are what it said: nobody hashes them again before they go out."""
    for image in found["result"]["value"]["images"]:
        path = task.compose.path / image["path"]
        link_file(Path(found["path"], image["path"]), path)
        if fingerprint(path) != image["fingerprint"]:
            path.unlink()
            raise Failure(f"{path.name} is damaged there")
    return Done(found["result"]["value"], tuple(paths_of(found)))


def kargs_of(variant: LockedVariant, asked: Iterable[str], arch: str) -> tuple[str, ...]:
    """Kernel arguments: those of the base, then the manifest's; a console if there are none."""
    below = variant.derived.kargs if variant.derived else ()
    return tuple(dict.fromkeys((*below, *asked))) or default_kargs(arch)


def disk_size(variant: LockedVariant) -> int:
    """Bytes, whole GiB: a pure function of the lock."""
    debs = sum(package.size for package in variant.installed.values())
    return max(2, -(-debs * GROWTH // GIB)) * GIB


def _make(
    task: Task, store: Store, variant: LockedVariant, epoch: int, out: Path, stem: str, size: int, types: set[str],
    filesystem: str,
) -> list[dict[str, Any]]:  # fmt: skip
    params = task.params
    commit = task.input("commit")
    raw = out / f"{stem}.raw"
    task.say(f"{raw.name}: {size // 1024**2} MiB, from commit {commit['commit'][:12]}")
    partial = task.scratch / "disk.raw"
    partial.unlink(missing_ok=True)
    disk = make_disk(
        store, repo=task.compose.path / commit["repo"], commit=commit["commit"], ref=params["ref"], out=partial,
        size=size, epoch=epoch, suite=params["suite"], arch=params["arch"],
        kargs=kargs_of(variant, params["kargs"], params["arch"]), remote=remote_of(task),
        filesystem=filesystem,
    )  # fmt: skip
    if problems := check_disk(store, disk, suite=params["suite"], arch=params["arch"]):
        raise BuildFailed(
            f"{raw.name} is not sound: {'; '.join(problems)}", hint="compose again; if it stays, report it"
        )
    partial.replace(raw)
    about = {"deployment": disk.deployment, "virtual_size": size}
    with ThreadPoolExecutor(1) as beside:  # the longest reading of all, while qemu-img writes
        sums = beside.submit(_sums, raw)
        made = []
        for kind in (kind for kind in FORMATS if kind in types):
            task.say(f"{stem}.{kind}: {FORMATS[kind].what_for}")
            converted = task.scratch / f"disk.{kind}"
            converted.unlink(missing_ok=True)
            make_image(store, raw, converted, kind, suite=params["suite"], arch=params["arch"])
            path = out / f"{stem}.{kind}"
            converted.replace(path)
            made.append(_describe(task, path, kind) | _sums(path) | about)
        task.say(f"{raw.name}: checksum")
        return [_describe(task, raw, "raw") | sums.result() | about, *made]


def remote_of(task: Task) -> Remote | None:
    """Where the image fetches updates; None if the manifest names no place."""
    url = task.params["url"]
    if url is None:
        return None
    return Remote(name="compose", url=url, key=open_signer().public_key() if task.params["sign"] else None)


def _describe(task: Task, path: Path, kind: str) -> dict[str, Any]:
    return {"path": str(path.relative_to(task.compose.path)), "type": kind, "size": path.stat().st_size}


def _sums(path: Path) -> dict[str, str]:
    return {"sha256": hash_file(path), "fingerprint": fingerprint(path)}
