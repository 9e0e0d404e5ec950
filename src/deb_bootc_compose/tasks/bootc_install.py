"""The gate of `bootc install`: the image's own bootc installs its container image onto a blank disk, which boots."""

from __future__ import annotations

from deb_bootc_compose.gate.bootc import install_words, installing, installs, judge_install, run_installed
from deb_bootc_compose.gate.machine import Boot
from deb_bootc_compose.tasks.update import conclude, keep_report
from deb_bootc_compose.worker import Done, Task
from debroot.store import Store


def run_task(task: Task) -> Done:
    params, commit, container = task.params, task.input("commit"), task.input("container")
    images = task.input("image")["images"]
    image = next((i for i in images if i["type"] == "qcow2"), images[0])
    key, arch, store = params["key"], params["arch"], Store.open()
    console = task.compose.logs / f"console-bootc-install.{key}.log"
    installed = task.compose.logs / f"console-bootc-installed.{key}.log"
    layout = task.compose.path / container["path"]
    words = install_words(
        bootupd=task.input("tree")["bootc"]["bootupd"], filesystem=params.get("filesystem", "ext4"), arch=arch
    )
    task.say(f"bootc of {image['path'].rpartition('/')[2]} installs {container['digest'][:19]}; its console: {console}")
    with installing(
        store, task.compose.path / image["path"], layout, container["digest"], size=image["virtual_size"],
        words=words, console_log=console, say=task.say, arch=arch,
    ) as (first, disk):  # fmt: skip
        then: tuple[Boot, ...] = ()
        if installs(first[0]).ok:
            task.say(f"booting what it installed; its console: {installed}")
            then = run_installed(
                store, disk, layout, container["digest"], plan=("end",), console_log=installed, say=task.say, arch=arch
            )
    report = judge_install(first, then, commit=commit["commit"], digest=container["digest"])
    path = keep_report(task, report)
    conclude(task, report, console=console, path=path)
    value = {"applicable": True, "image": image["path"], "digest": container["digest"]}
    return Done(value, (str(path.relative_to(task.compose.path)),))
