"""The update gate: what machines have now updates to this compose, keeps what is theirs, and can go back.

The image of the compose before boots in QEMU, updates over HTTP with signatures demanded, reboots, and goes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deb_bootc_compose.disk.image import make_disk
from deb_bootc_compose.gate.judge import GateReport, judge_update
from deb_bootc_compose.gate.machine import URL, run_plan
from deb_bootc_compose.gate.serve import serving
from deb_bootc_compose.lock import LockedParent, load_lock
from deb_bootc_compose.ostree import init_repo
from deb_bootc_compose.signing import open_signer
from deb_bootc_compose.tasks.image import disk_size, kargs_of, remote_of
from deb_bootc_compose.worker import Done, Task
from debcore.errors import BuildFailed, Failure
from debcore.path import write_file
from debroot.store import Store

#: Seconds in which a machine must say something. Emulation on a busy host takes many times what it takes alone.
PATIENCE = 900.0

FIRST = "not applicable: first compose"


def run_task(task: Task) -> Done:
    params, commit = task.params, task.input("commit")
    lock = load_lock(task.compose.lock_path)
    parent = (lock.parents or {}).get(params["key"])
    if parent is None:
        return first_compose(task)
    store = Store.open()
    signer = open_signer() if params["sign"] else None
    repository = init_repo(store, task.compose.path / commit["repo"], suite=params["suite"])
    console = task.compose.logs / f"console-update.{params['key']}.log"
    plan = ("update", *(("rollback",) if params["rollback"] else ()), "end")
    wanted = ("update", *(("unsigned",) if signer else ()))
    with (
        image_before(task, store, parent) as image,
        serving(
            repository, commit=commit["commit"], ref=params["ref"], signer=signer, timestamp=lock.timestamp,
            kver=task.input("tree")["kver"], wanted=wanted,
        ) as served,
    ):  # fmt: skip
        task.say(f"from {parent.version} ({image.name}) to {lock.version} in QEMU; its console: {console}")
        environment = {
            "URL": f"{URL}/update", "UNSIGNED": f"{URL}/unsigned" if signer else "", "REF": params["ref"],
            "FROM": parent.commit, "BROKEN": "", "SIGNED": str(signer is not None).lower(),
        }  # fmt: skip
        boots = run_plan(
            store, image, plan=plan, environment=environment, key=signer.public_key() if signer else "",
            binds=served.binds, console_log=console, patience=PATIENCE, say=task.say,
            arch=params["arch"],
        )  # fmt: skip
    report = judge_update(
        boots, before=parent.commit, after=commit["commit"], signed=signer is not None, rollback=params["rollback"]
    )
    path = keep_report(task, report)
    conclude(task, report, console=console, path=path)
    value = {
        "applicable": True, "before": parent.commit, "previous": parent.compose, "after": commit["commit"],
        "rollback": params["rollback"], "signatures": signer is not None,
    }  # fmt: skip
    return Done(value, (str(path.relative_to(task.compose.path)),))


def first_compose(task: Task) -> Done:
    """Errors: BuildFailed if the manifest demands a compose before."""
    if task.params["required"]:
        raise BuildFailed(
            f"there is no compose before to update from: {task.params['ref']} is new",
            hint="name it with --previous, or compose once with `require-previous: false`",
        )
    task.say(FIRST)
    return Done({"applicable": False, "reason": FIRST})


@contextmanager
def image_before(task: Task, store: Store, parent: LockedParent) -> Iterator[Path]:
    """The image that was delivered; where it is gone, one made of its commit. Errors: Failure if that is gone too."""
    if task.context["image"] is not None:
        yield Path(task.context["image"])
        return
    if task.context["repo"] is None:
        if damage := task.context.get("damage"):
            raise Failure(damage[0], hint=damage[1])
        raise Failure(
            f"the compose before, {parent.compose or parent.version}, is not there to update from",
            hint="name it, or a repository that has its commit, with --previous; or leave the gate out: --skip update",
        )
    lock = load_lock(task.compose.lock_path)
    out = task.scratch / "before.raw"
    task.say(f"making a disk of {parent.version}: its own image is not there")
    params = task.params
    try:
        disk = make_disk(
            store, repo=Path(task.context["repo"]), commit=parent.commit, ref=params["ref"], out=out,
            size=disk_size(lock.variants[params["key"]]), epoch=lock.timestamp, suite=params["suite"],
            arch=params["arch"], kargs=kargs_of(lock.variants[params["key"]], params["kargs"], params["arch"]),
            remote=remote_of(task), filesystem=params.get("filesystem", "ext4"),
        )  # fmt: skip
        yield disk.path
    finally:
        out.unlink(missing_ok=True)


def keep_report(task: Task, report: GateReport) -> Path:
    path = task.compose.logs / f"{report.gate}.{task.params['key']}.json"
    write_file(path, report.model_dump_json(indent=1) + "\n")
    return path


def conclude(task: Task, report: GateReport, *, console: Path, path: Path) -> None:
    """Say what took how long. Errors: BuildFailed naming each check that failed."""
    for step in report.steps:
        task.say(f"{step.name}: {step.seconds:.0f} s")
    if report.failed:
        told = "; ".join(f"{check.name}: {check.detail}" for check in report.failed)
        raise BuildFailed(f"the {report.gate} gate: {told}", hint=f"read {console} and {path}")
    task.say(f"{len(report.checks)} checks passed")
