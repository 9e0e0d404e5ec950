"""Make or fetch one source package with `deb-mock source`: a directory packed, or the archive's with a local suffix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deb_bootc_compose.embedded import find_tool
from deb_bootc_compose.runner import CLASSES
from deb_bootc_compose.worker import Done, Task
from debcore.command import run
from debcore.errors import CommandFailed, Failure, HostFailed
from debcore.path import check_file_name

PREFIX = "deb-mock: "


def run_source(argv: Sequence[str | Path]) -> dict[str, Any]:
    """Errors: Failure with deb-mock's own words."""
    try:
        done = run(argv)
    except CommandFailed as error:
        raise _in_its_words(error) from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise Failure("deb-mock source answered with something that is not JSON") from error
    return answer


def _in_its_words(error: CommandFailed) -> Failure:
    """deb-mock's own message, hint and class of failure, from what it printed and its exit status."""
    lines = [line for line in error.output.splitlines() if line.strip()]
    said = [number for number, line in enumerate(lines) if line.startswith(PREFIX)]
    text = lines[said[-1]].removeprefix(PREFIX) if said else str(error)
    hints = [line.strip() for line in lines[said[-1] :] if line.strip().startswith("[")] if said else []
    return CLASSES.get(error.exit_status, HostFailed)(text, hint=hints[-1][1:-1] if hints else "see the task's log")


def run_task(task: Task) -> Done:
    out = task.compose.work / "sources" / task.name
    out.mkdir(parents=True, exist_ok=True)
    what = task.params["what"]
    name = what if task.params["origin"] == "archive" else task.context["path"]
    task.say(f"making the source package of {task.params['label']}")
    argv: list[str | Path] = [find_tool("deb-mock"), "source", name, "--resultdir", out, "--json"]
    argv += ["-r", task.params["preset"]]
    if task.params["suffix"]:
        argv.append(f"--append-version={task.params['suffix']}")
    answer = run_source(argv)
    files = [_describe(file, out) for file in answer["files"]]
    dsc = check_file_name(Path(answer["dsc"]).name, where="deb-mock source")
    task.say(f"{answer['source']} {answer['version']}: {len(files)} files")
    value = {"source": answer["source"], "version": answer["version"], "dsc": dsc, "files": files}
    return Done(value, tuple(str((out / file["name"]).relative_to(task.compose.path)) for file in files))


def _describe(file: dict[str, Any], out: Path) -> dict[str, Any]:
    name = check_file_name(Path(file["path"]).name, where="deb-mock source")
    if not (out / name).is_file():
        raise Failure(f"deb-mock source promised {name} and did not write it")
    return {"name": name, "sha256": file["sha256"], "size": file["size"]}
