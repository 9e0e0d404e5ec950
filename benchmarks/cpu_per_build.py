#!/usr/bin/env python3
"""CPU time that deb-mock itself spends on a build whose root exists: with many builds at once this is what they share.

    cpu_per_build.py [COUNT=10]

*whole*: user and system time of the process and all that it started, for a native package that builds nothing.
*dpkg alone*: dpkg-source and dpkg-buildpackage of the same source in a root that stands, less an empty command there.
The least of COUNT runs counts: what else the machine does can only add.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from benchmarks.measure import BIN, print_table
from deb_mock.dsc import Dsc, load_dsc
from deb_mock.plan import plan_build
from deb_mock.roots import find_sources, make_base
from deb_mock.transfer import write_files_tar
from deb_mock.workspace import Workspace, open_workspace
from debcore.command import run
from debroot.store import Store
from tests.integration.deb_mock.conftest import make_native

PRESET = "debian-trixie-amd64"
BUILD = "rm -rf tree; dpkg-source --no-check -x {dsc} tree && cd tree && dpkg-buildpackage --sanitize-env -us -uc -b"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    store = Store.open()
    with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as name:
        place = Path(name)
        run([BIN / "deb-mock", "source", make_native(place), "-r", PRESET, "--resultdir", place / "source"])
        dsc = load_dsc(place / "source" / "tiny_1.0.dsc")
        start: list[str | Path] = [BIN / "deb-mock", "--version"]
        build: list[str | Path] = [BIN / "deb-mock", "build", dsc.path, "-r", PRESET, "--resultdir", place / "out"]
        rows = [
            ("deb-mock --version", least(count, lambda: run(start))),
            ("deb-mock build, whole", whole := least(count, lambda: run(build))),
            ("dpkg alone", alone := measure_dpkg(store, dsc, count)),
            ("deb-mock's own", whole - alone),
        ]
    table = [(what, f"{seconds:.3f}") for what, seconds in rows]
    print_table("CPU time of one build", ("what", f"CPU s, least of {count}"), table)


def measure_dpkg(store: Store, dsc: Dsc, count: int) -> float:
    choice = plan_build(dsc.path, preset=PRESET).choice
    with open_workspace(store, make_base(store, choice, find_sources(choice))) as space:
        space.put(lambda stream: write_files_tar({path.name: path for path in dsc.all_files}, stream))
        build = least(count, lambda: space.run(["sh", "-c", BUILD.format(dsc=dsc.name)]))
        return build - least(count, lambda: run_nothing(space))


def run_nothing(space: Workspace) -> None:
    space.run(["true"])


def least(count: int, call: Callable[[], object]) -> float:
    """User and system time of the processes that *call* starts and waits for."""

    def used() -> float:
        usage = getrusage(RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    found = []
    for _ in range(count + 1):  # the first fills caches
        before = used()
        call()
        found.append(used() - before)
    return min(found[1:])


if __name__ == "__main__":
    main()
