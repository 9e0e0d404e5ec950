"""A compose of toy tasks, as a program that tests can kill: toy_compose.py COMPOSE; toy_compose.py --task DIR.

a ─┬─ b ─┬─ d        every task appends its name to work/ran when it begins; b waits as long as work/hold exists
   └─ c ─┘           if work/stubborn exists, b starts a program, and both are deaf to SIGTERM
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deb_bootc_compose import tasks
from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.graph import Graph, Node
from deb_bootc_compose.journal import Journal
from deb_bootc_compose.runner import Runner
from deb_bootc_compose.worker import Done, Task, run_task
from debcore.cli import _raise_on_signals
from debcore.command import spawn
from debcore.errors import DepsUnmet


def toy(task: Task) -> Done:
    with (task.compose.work / "ran").open("a") as file:
        file.write(task.name + "\n")
    if task.name == "b" and (task.compose.work / "stubborn").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        spawn(["sleep", "601"])
        with (task.compose.work / "ran").open("a") as file:
            file.write("deaf\n")
    task.say(f"working on {task.params['word']}")
    end = time.monotonic() + 600  # whoever holds it is killed, or lets go
    while task.name == "b" and (task.compose.work / "hold").exists() and time.monotonic() < end:
        time.sleep(0.02)
    if (task.compose.work / f"fail-{task.name}").exists():
        raise DepsUnmet("nothing provides it", hint="provide it")
    if (task.compose.work / f"bug-{task.name}").exists():
        raise ZeroDivisionError("oh")
    parts = sorted(str(value["text"]) for value in task.inputs.values())
    text = "".join([*parts, str(task.params["word"])])
    (task.compose.output / task.name).write_text(text)
    return Done({"text": text}, (f"compose/{task.name}",))


def nodes(word: str = "a") -> list[Node]:
    def node(name: str, *needs: str, word: str = "", **more: Any) -> Node:
        return Node(id=name, kind="toy", params={"word": word or name}, needs=needs, **more)

    return [node("a", word=word), node("b", "a"), node("c", "a"), node("d", "b", "c")]


def compose(path: Path, jobs: int = 2, given: list[Node] | None = None) -> dict[str, Any]:
    directory = ComposeDirectory(path)
    said: list[str] = []
    with directory.running():
        journal = Journal(directory.journal_path)
        with Runner(
            directory.work, directory.logs, progress=lambda task, text: said.append(f"{task}: {text}"),
            command=lambda task: [sys.executable, __file__, "--task", task], grace=1.0,
        ) as runner:  # fmt: skip
            graph = Graph(given or nodes(), root=path, journal=journal, runner=runner, jobs=jobs)
            try:
                outcomes = graph.run()
            finally:
                journal.close()
        directory.set_status(Status.FINISHED)
    return {name: (o.result or {}).get("value") for name, o in outcomes.items()} | {"said": said}


if __name__ == "__main__":
    _raise_on_signals()
    if sys.argv[1] == "--task":
        tasks.load_task = lambda _kind: SimpleNamespace(run_task=toy)  # type: ignore[assignment]
        run_task(Path(sys.argv[2]))
    else:
        compose(Path(sys.argv[1]))
