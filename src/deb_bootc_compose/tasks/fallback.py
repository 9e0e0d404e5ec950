"""The gate of failed updates: this image takes an update whose kernel panics, and comes back by itself."""

from __future__ import annotations

from deb_bootc_compose.boot.run import CONTROL
from deb_bootc_compose.gate.judge import judge_fallback
from deb_bootc_compose.gate.machine import URL, run_plan
from deb_bootc_compose.gate.serve import serving
from deb_bootc_compose.lock import load_lock
from deb_bootc_compose.ostree import init_repo
from deb_bootc_compose.signing import open_signer
from deb_bootc_compose.tasks.update import PATIENCE, conclude, keep_report
from deb_bootc_compose.worker import Done, Task
from debroot.store import Store


def run_task(task: Task) -> Done:
    params, commit = task.params, task.input("commit")
    lock = load_lock(task.compose.lock_path)
    images = task.input("image")["images"]
    image = next((i for i in images if i["type"] == "qcow2"), images[0])
    store = Store.open()
    signer = open_signer() if params["sign"] else None
    repository = init_repo(store, task.compose.path / commit["repo"], suite=params["suite"])
    console = task.compose.logs / f"console-fallback.{params['key']}.log"
    with serving(
        repository, commit=commit["commit"], ref=params["ref"], signer=signer, timestamp=lock.timestamp,
        kver=task.input("tree")["kver"], wanted=("broken",),
    ) as served:  # fmt: skip
        task.say(f"{image['path'].rpartition('/')[2]} gets an update that panics; its console: {console}")
        environment = {
            "URL": f"{URL}/broken", "UNSIGNED": "", "REF": params["ref"], "FROM": commit["commit"],
            "BROKEN": served.commits["broken"], "SIGNED": str(signer is not None).lower(),
        }  # fmt: skip
        boots = run_plan(
            store, task.compose.path / image["path"], plan=("update", "end"), environment=environment,
            key=signer.public_key() if signer else "", binds=served.binds, console_log=console, patience=PATIENCE,
            say=task.say, arch=params["arch"],
        )  # fmt: skip
    text = CONTROL.sub("", console.read_text("utf-8", "replace"))
    report = judge_fallback(boots, before=commit["commit"], broken=served.commits["broken"], console=text, panics=True)
    path = keep_report(task, report)
    conclude(task, report, console=console, path=path)
    return Done({"broken": served.commits["broken"]}, (str(path.relative_to(task.compose.path)),))
