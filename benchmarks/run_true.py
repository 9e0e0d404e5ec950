#!/usr/bin/env python3
"""`deb-mock run -- true`: the whole process, and the root alone.

run_true.py [COUNT=20]
"""

from __future__ import annotations

import sys

from benchmarks.measure import BIN, print_table, seconds, spread
from debcore.command import run
from debroot.bootstrap import Recipe
from debroot.sandbox import Sandbox, run_in
from debroot.sources import find_host_sources
from debroot.store import Store

PRESET = "debian-trixie-amd64"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    argv = [str(BIN / "deb-mock"), "run", "-r", PRESET, "--", "true"]
    run(argv)
    whole = [seconds(lambda: run(argv)) for _ in range(count)]
    store = Store.open()
    layer = store.base(Recipe(suite="trixie", arch="amd64", sources=find_host_sources("trixie")))
    sandbox = Sandbox(lowers=layer.lowers())
    root = [seconds(lambda: run_in(sandbox, ["true"])) for _ in range(count)]
    rows = [
        ("whole process", spread(whole, scale=1000, digits=0), "250"),
        ("the root alone", spread(root, scale=1000, digits=0), "100"),
    ]
    print_table("deb-mock run -- true", ("what", f"ms, median of {count} (min–max)", "promise"), rows)


if __name__ == "__main__":
    main()
