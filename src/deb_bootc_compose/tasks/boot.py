"""The boot gate: the image boots in QEMU, nothing fails, and it reports the packages that were built for it."""

from __future__ import annotations

from deb_bootc_compose.boot.run import ROOM, run_boot
from deb_bootc_compose.lock import load_lock
from deb_bootc_compose.worker import Done, Task
from debcore.errors import BuildFailed
from debcore.path import write_file
from debroot.store import Store

#: Seconds. Emulation without KVM takes 90 s on an idle host of 2 cores, many times that on a busy one.
TIMEOUT = 900.0


def run_task(task: Task) -> Done:
    images = task.input("image")["images"]
    image = next((i for i in images if i["type"] == "qcow2"), images[0])
    variant = load_lock(task.compose.lock_path).variants[task.params["key"]]
    built = {package.name: package.version for package in variant.hub}
    console = task.compose.logs / f"console.{task.params['key']}.log"
    task.say(f"{image['path'].rpartition('/')[2]} in QEMU; its console: {console}")
    report = run_boot(
        Store.open(), task.compose.path / image["path"], packages=sorted(built),
        commit=task.input("commit")["commit"], console_log=console, timeout=TIMEOUT,
        arch=task.params["arch"], room=ROOM,
    )  # fmt: skip
    path = task.compose.logs / f"boot.{task.params['key']}.json"
    write_file(path, report.model_dump_json(indent=1) + "\n")
    problems = list(report.problems)
    for name, version in built.items():
        found = report.packages.get(name)
        if found is not None and found != version:
            problems.append(f"{name} is {found}, not {version}")
    if "composefs" in task.input("tree")["features"] and not report.composefs:
        problems.append("the image's ostree has composefs, but the root is none")
    grown = report.growth if report.growth is not None and report.growth.able else None
    if grown is None and task.params["grow"]:
        problems.append("the manifest says `grow: true`, but nothing grows it")
    if problems:
        raise BuildFailed(
            f"the image boots, but: {'; '.join(problems)}", hint=f"read {console} and {path}, then correct the manifest"
        )
    for name in built:
        task.say(f"the running system has {name} {report.packages[name]}")
    root = "a composefs root" if report.composefs else "an ordinary root"
    task.say(f"up after {report.timing.boot:.0f} s, no failed unit, {root}")
    size = f"{grown.filesystem // 1024**2} MiB" if grown else ""
    task.say(f"the root grew onto a larger disk: {size}" if grown else "the image does not grow onto a larger disk")
    value = {
        "state": report.state, "kernel": report.kernel, "packages": report.packages,
        "secure_boot": report.secure_boot, "image": image["path"], "composefs": report.composefs,
        "grows": grown is not None,
    }  # fmt: skip
    return Done(value, (str(path.relative_to(task.compose.path)),))
