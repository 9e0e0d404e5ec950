"""The gate of `bootc upgrade`: a machine that the bootc before installed takes this compose's image, and goes back."""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.gate.bootc import install_words, installing, installs, judge_upgrade, run_installed
from deb_bootc_compose.gate.machine import Boot
from deb_bootc_compose.lock import load_lock
from deb_bootc_compose.tasks.image import disk_size
from deb_bootc_compose.tasks.update import conclude, first_compose, image_before, keep_report
from deb_bootc_compose.worker import Done, Task
from debcore.errors import Failure
from debroot.store import Store

WITHOUT = "not applicable: the image before has no bootc"
COMMIT = "not applicable: what came before is a commit and no image"


def run_task(task: Task) -> Done:
    params, container = task.params, task.input("container")
    lock = load_lock(task.compose.lock_path)
    parent = (lock.parents or {}).get(params["key"])
    if parent is None:
        return first_compose(task)
    if damage := task.context.get("damage"):
        raise Failure(damage[0], hint=damage[1])
    if parent.digest is None:
        return not_applicable(task, COMMIT)
    if task.context["layout"] is None:
        raise Failure(
            f"the container image of {parent.compose or parent.version} is not there to upgrade from",
            hint="name a compose that has it with --previous, or leave the gate out: --skip bootc-upgrade",
        )
    if task.context["bootc"] is None:
        return not_applicable(task, WITHOUT)
    key, arch, store = params["key"], params["arch"], Store.open()
    before, after = parent.digest, container["digest"]
    plan = ("bootc-upgrade", *(("bootc-rollback",) if params["rollback"] else ()), "end")
    console = task.compose.logs / f"console-bootc-upgrade.{key}.log"
    preparing = task.compose.logs / f"console-bootc-before.{key}.log"
    words = install_words(
        bootupd=task.context["bootc"]["bootupd"], filesystem=params.get("filesystem", "ext4"), arch=arch
    )
    with image_before(task, store, parent) as image:
        task.say(f"bootc of {parent.version} installs its image {before[:19]}; its console: {preparing}")
        with installing(
            store, image, Path(task.context["layout"]), before, size=disk_size(lock.variants[key]), words=words,
            console_log=preparing, say=task.say, arch=arch,
        ) as (first, disk):  # fmt: skip
            then: tuple[Boot, ...] = ()
            if installs(first[0]).ok:
                task.say(f"it upgrades to {after[:19]}; its console: {console}")
                then = run_installed(
                    store, disk, task.compose.path / container["path"], after, plan=plan, console_log=console,
                    say=task.say, arch=arch,
                )  # fmt: skip
    report = judge_upgrade(
        first, then, commit=parent.commit, before=before, after=after, rollback=params["rollback"]
    )  # fmt: skip
    path = keep_report(task, report)
    conclude(task, report, console=console, path=path)
    value = {
        "applicable": True, "before": before, "previous": parent.compose, "after": after,
        "rollback": params["rollback"],
    }  # fmt: skip
    return Done(value, (str(path.relative_to(task.compose.path)),))


def not_applicable(task: Task, reason: str) -> Done:
    task.say(reason)
    return Done({"applicable": False, "reason": reason})
