"""Import the image as bootc would, layer by layer, and compare with the commit: both must hold the same tree."""

from __future__ import annotations

from deb_bootc_compose.oci.replay import replay_import
from deb_bootc_compose.ostree import init_repo
from deb_bootc_compose.worker import Done, Task
from debcore.errors import BuildFailed
from debroot.store import Store


def run_task(task: Task) -> Done:
    commit, container = task.input("commit"), task.input("container")
    repository = init_repo(Store.open(), task.compose.path / commit["repo"], suite=task.params["suite"])
    task.say("importing the layers as bootc does")
    found = replay_import(repository, task.compose.path / container["path"], commit["commit"])
    if not found.equal:
        shown = "; ".join(found.differences[:5])
        raise BuildFailed(
            f"image and commit differ: {shown}", hint=f"all differences: {_keep(task, found.differences)}"
        )
    before = f", {found.taken} of them imported before" if found.taken else ""
    task.say(f"{found.layers} layers give the same tree as the commit{before}")
    return Done({"equal": True, "layers": found.layers})


def _keep(task: Task, differences: tuple[str, ...]) -> str:
    path = task.compose.logs / f"{task.name}.differences"
    path.write_text("".join(f"{line}\n" for line in differences))
    return str(path)
