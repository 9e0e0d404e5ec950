#!/usr/bin/env python3
"""examples/server composed twice: with an empty compose cache, and again. By task, gates included.

    compose_time.py

Downloads and build roots are warm if the store is: see what it prints first.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import BIN, ROOT, print_table
from debcore.command import PIPE, spawn


def compose(target: Path, cache: Path) -> dict[str, Any]:
    argv = [BIN / "deb-bootc-compose", "build", ROOT / "examples/server", "--target", target, "--json"]
    process = spawn([str(word) for word in argv], stdout=PIPE, extra_env={"DEBOOTC_HUB_STATE": str(cache / "hub")})
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(process.returncode)
    found: dict[str, Any] = json.loads(output)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as scratch:
        runs = [compose(Path(scratch, "composes"), Path(scratch)) for _ in range(2)]
    first, second = ({task["task"]: task for task in run["tasks"]} for run in runs)
    rows = [
        (name, f"{task['seconds']:.1f}", f"{second[name]['seconds']:.1f}", second[name]["how"])
        for name, task in first.items()
    ]
    rows.append(("all", f"{total(runs[0]):.1f}", f"{total(runs[1]):.1f}", ""))
    print_table("Compose of examples/server by task", ("task", "first, s", "again, s", "how"), rows)


def total(run: dict[str, Any]) -> float:
    return float(sum(task["seconds"] for task in run["tasks"]))


if __name__ == "__main__":
    main()
