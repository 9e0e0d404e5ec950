"""What the benchmarks share: conditions of the machine, timing of whole commands, one table.

With the word `--json` a benchmark prints one JSON object a line on standard output instead: the conditions at its
start, then each row as soon as it is measured.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

AS_JSON = "--json" in sys.argv[1:]
if AS_JSON:
    sys.argv.remove("--json")
DATABASES = ("sqlite", "postgresql")

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def conditions() -> str:
    """One line: cores, kernel and load, without which figures mean little."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}, load {load}"


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def spread(values: Sequence[float], *, digits: int = 2, scale: float = 1.0) -> str:
    """`median (min–max)`, scaled; "" of nothing."""
    if not values:
        return ""
    ordered = [value * scale for value in values]
    return f"{statistics.median(ordered):.{digits}f} ({min(ordered):.{digits}f}–{max(ordered):.{digits}f})"


def say_start(title: str) -> None:
    """The conditions before anything of the benchmark runs."""
    if AS_JSON:
        load = os.getloadavg()[0]
        print(json.dumps({"benchmark": title, "started": conditions(), "load": round(load, 1)}), flush=True)
    else:
        print(f"{title}: {conditions()}", file=sys.stderr)


def say_row(title: str, header: Sequence[str], row: Sequence[object]) -> None:
    """One row as soon as it is there."""
    if AS_JSON:
        print(json.dumps({"benchmark": title, **dict(zip(header, row, strict=True))}, ensure_ascii=False), flush=True)
    else:
        print(*row, sep="  ", file=sys.stderr, flush=True)


def split_words(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """(what is not about databases, those of `--on NAME`, or both). Errors: SystemExit on another name."""
    rest, on = list(words), []
    while "--on" in rest:
        n = rest.index("--on")
        on += rest[n + 1 : n + 2]
        del rest[n : n + 2]
    if unknown := [name for name in on if name not in DATABASES]:
        raise SystemExit(f"no database {unknown[0]}; there are: {', '.join(DATABASES)}")
    return rest, tuple(on) or DATABASES


def cpu_seconds(postmaster: int | None = None) -> float:
    """CPU time of this process so far, and of a PostgreSQL server, whose backends are children of *postmaster*."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime
    return spent if postmaster is None else spent + _server_seconds(postmaster)


def _server_seconds(postmaster: int) -> float:
    """Source: proc(5), /proc/PID/stat; those that ended count with the postmaster (cutime, cstime)."""
    ticks = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(place.name) == postmaster:
            ticks += sum(int(one) for one in fields[11:15])
        elif int(fields[1]) == postmaster:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def print_table(
    title: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    notes: Sequence[str] = (),
    *,
    said: bool = False,
) -> None:
    """A Markdown table for docs/reference/proofs.md. With --json: its rows, unless they were *said*, and notes."""
    if AS_JSON:
        for row in () if said else rows:
            say_row(title, header, row)
        print(json.dumps({"benchmark": title, "ended": conditions(), "notes": list(notes)}, ensure_ascii=False))
        return
    print(f"\n## {title}\n\n{conditions()}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    for note in notes:
        print(f"\n{note}")
