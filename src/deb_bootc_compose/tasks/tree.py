"""The tree of one variant: exact packages in stages, files, and everything that OSTree and bootc want of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deb_bootc_compose.boot.grow import grows
from deb_bootc_compose.boot.grub import image_files
from deb_bootc_compose.derive.base import load_tree_below
from deb_bootc_compose.farm.order import fetch_tree
from deb_bootc_compose.lock import LockedPackage, LockedVariant, load_lock
from deb_bootc_compose.tree.leftout import make_filters
from deb_bootc_compose.tree.make import Tree, TreeSpec, load_tree, make_tree
from deb_bootc_compose.tree.spec import AddFile, FinishOptions, Layout, Units, VarRule
from deb_bootc_compose.worker import Done, Task
from debcore.errors import DepsUnmet, Failure
from debroot.store import Package, Store

ITEM = re.compile(r"\b(postprocess|remove-from-packages|remove-files)\.(\d+): ")


def run_task(task: Task) -> Done:
    store = Store.open()
    lock = load_lock(task.compose.lock_path)
    if (why := lock.left_out.get(task.params["key"])) is not None:
        raise DepsUnmet(why, hint="the lock has no packages for it")
    variant = lock.variants[task.params["key"]]
    spec = spec_of(task, store)
    added = sum(map(len, (variant.base, variant.archive, variant.hub)))
    below = f"on {variant.derived.digest[:19]}: " if variant.derived else ""
    task.say(f"{below}{added} packages: base, archive, hub, then the finishing steps")
    since = time.monotonic()
    anew = bool(task.context.get("anew"))
    with at_its_line(task.context.get("origins", {})):
        if (farm := task.context.get("farm")) is not None:
            suite = lock.hub.suite if lock.hub is not None and variant.hub else ""
            fetch_tree(task, store, spec, farm, suite=suite)
        tree = make_tree(store, spec, log=task.compose.logs / f"{task.name}.log", anew=anew)
    task.say(f"tree {tree.id[:12]}, kernel {tree.kver}, {time.monotonic() - since:.0f} s")
    ids = task.compose.work / f"ids.{task.params['key']}"
    ids.write_text(tree.ids)
    value: dict[str, Any] = {
        "id": tree.id, "kver": tree.kver, "suite": lock.suite, "features": list(tree.ostree_features)
    }  # fmt: skip
    if has_program(tree.root, "bootc"):
        value["bootc"] = {"bootupd": has_program(tree.root, "bootupctl")}
    return Done(value, (str(ids.relative_to(task.compose.path)),))


@contextmanager
def at_its_line(origins: Mapping[str, list[str]]) -> Iterator[None]:
    """A failure that names an item of a list of the manifest, as KEY.INDEX, begins with its file and line."""
    try:
        yield
    except Failure as failure:
        match = ITEM.search(str(failure))
        lines = origins.get(match[1], []) if match else []
        if match is None or int(match[2]) >= len(lines):
            raise
        failure.args = (f"{lines[int(match[2])]}: {failure}",)
        raise


def has_program(root: Path, name: str) -> bool:
    """Errors: OSError if that cannot be seen."""
    try:
        (root / "usr/bin" / name).lstat()
    except FileNotFoundError:
        return False
    return True


def spec_of(task: Task, store: Store) -> TreeSpec:
    """What *task* makes its tree of: the lock's packages, and what the manifest says of it."""
    lock = load_lock(task.compose.lock_path)
    variant = lock.variants[task.params["key"]]
    return TreeSpec(
        suite=lock.suite, arch=task.params["arch"], base=_packages(variant.base), archive=_packages(variant.archive),
        hub=_packages(variant.hub), finish=_finish(task, variant),
        below=load_tree_below(store, variant.derived) if variant.derived else None,
    )  # fmt: skip


@contextmanager
def open_tree(task: Task) -> Iterator[tuple[Store, Tree]]:
    """The tree that the tree task made, locked against garbage collection while the block runs."""
    store = Store.open()
    made = task.input("tree")
    tree = load_tree(store, made["id"], suite=made["suite"])
    if tree is None:
        raise Failure(
            f"the tree {made['id'][:12]} is no longer in the store {store.path}",
            hint="the store was cleaned meanwhile: compose again",
        )
    with store.using(tree.layer):
        yield store, tree


def _packages(locked: tuple[LockedPackage, ...]) -> tuple[Package, ...]:
    return tuple(package.package() for package in locked)


def _finish(task: Task, variant: LockedVariant) -> FinishOptions:
    params = task.params
    units, layout = params["units"], params["layout"]
    files: Path = task.compose.work / "files"
    boot = image_files(grow=grows(params["grow"], {package.name for package in variant.installed.values()}))
    return FinishOptions(
        add_files=(
            *(AddFile(path=path, content=content, mode=mode) for path, (mode, content) in boot.items()),
            *(
                AddFile(path=file["to"], content=(files / file["sha256"]).read_bytes(), mode=int(file["mode"], 8))
                for file in params["files"]
            ),
        ),
        units=Units(
            enable=tuple(units["enable"]), disable=tuple(units["disable"]), mask=tuple(units["mask"]),
            default_target=units["default-target"],
        ),
        layout=Layout(opt=layout["opt"], usr_local=layout["usr-local"]),
        var_rules=tuple(VarRule(path=rule["path"], action=rule["action"]) for rule in params["var"]["rules"]),
        var_fix=params["var"]["fix"],
        ids=variant.ids, ids_strict=params["ids-strict"],
        os_release=tuple(sorted({"VARIANT_ID": params["variant"], **params["os-release"]}.items())),
        kernel_arguments=tuple(params["kargs"]),
        dpkg_options=make_filters(params.get("documentation"), params.get("install-langs", ())),
        remove_from_packages=tuple(tuple(rule) for rule in params.get("remove-from-packages", ())),
        remove_files=tuple(params.get("remove-files", ())),
        postprocess=tuple(params.get("postprocess", ())),
        dracut_modules=tuple(params.get("boot", {}).get("dracut-modules", ())),
        dracut_omit=tuple(params.get("boot", {}).get("dracut-omit", ())),
    )  # fmt: skip
