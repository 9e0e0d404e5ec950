"""What the benchmarks share: conditions of the machine, timing of whole commands, one table."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

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
    """`median (min–max)`, scaled."""
    ordered = [value * scale for value in values]
    return f"{statistics.median(ordered):.{digits}f} ({min(ordered):.{digits}f}–{max(ordered):.{digits}f})"


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]], notes: Sequence[str] = ()) -> None:
    """A Markdown table that can be pasted into docs/reference/proofs.md."""
    print(f"\n## {title}\n\n{conditions()}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    for note in notes:
        print(f"\n{note}")
