#!/usr/bin/env python3
"""Build real packages of Debian 13 with deb-mock and with sbuild, and compare what they made.

    real_packages.py [--phase fetch|deb-mock|sbuild|table]… [--again NAME]… [NAME…]

Without --phase: all of them, one after the other. A run goes on where an earlier one ended: what
has a record in the directory (DEBOOTC_PACKAGES_DIR) is not built again, unless --again names it. A package that fails
is recorded and the run goes on. Several runs at once share the work. `table` writes docs/reference/packages.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.measure import ROOT
from benchmarks.packages.builders import build_with_deb_mock, build_with_sbuild, fetch
from benchmarks.packages.compare import differing, explain_difference
from benchmarks.packages.records import BUILDERS, Catalogue, Place, load_catalogue
from benchmarks.packages.table import load_row, make_page
from deb_mock.dsc import load_dsc
from debcore.errors import Failure
from debcore.path import write_file
from debroot.store import Store

PHASES = ("fetch", *BUILDERS, "table")
PAGE = ROOT / "docs" / "reference" / "packages.md"
DEFAULT = "/var/cache/deb-bootc-ecosystem-tests/packages"
RUN = {"deb-mock": build_with_deb_mock, "sbuild": build_with_sbuild}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase", action="append", choices=PHASES)
    parser.add_argument("--again", action="append", default=[], metavar="NAME")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    directory = Path(os.environ.get("DEBOOTC_PACKAGES_DIR", DEFAULT))
    directory.mkdir(parents=True, exist_ok=True)
    catalogue = load_catalogue()
    places = {name: Place(directory / name) for name in options.names or catalogue.packages}
    for phase in options.phase or PHASES:
        if phase == "fetch":
            fetch_all(places)
        elif phase == "table":
            write_file(PAGE, make_table(catalogue, places))
            say(f"wrote {PAGE}")
        else:
            build_all(places, phase, again=options.again)
    return 0


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def fetch_all(places: dict[str, Place]) -> None:
    for name, place in places.items():
        if place.dsc is None:
            place.path.mkdir(exist_ok=True)
            said = fetch(name, place.path / "source")
            say(f"{name}: {said.splitlines()[-2 if len(said.splitlines()) > 1 else -1][:150] if said else 'fetched'}")


def build_all(places: dict[str, Place], builder: str, *, again: list[str]) -> None:
    """Build what has a source and no record, in the order of the list."""
    for name, place in places.items():
        with place.claimed(builder) as free:
            if free and place.dsc is not None and (place.find(builder) is None or name in again):
                build_one(name, place, place.dsc, builder)


def build_one(name: str, place: Place, path: Path, builder: str) -> None:
    dsc = load_dsc(path)
    try:
        record = RUN[builder](dsc.path, dsc.version, place.results(builder))
    except Failure as error:
        say(f"{name}: {builder} could not be run: {error}")  # no record: the next run tries again
        return
    place.save(builder, record)
    (place.path / "difference.txt").unlink(missing_ok=True)
    say(f"{name} {dsc.version}: {builder} {record.status}, {record.seconds:.0f} s {record.said[:120]}")


def make_table(catalogue: Catalogue, places: dict[str, Place]) -> str:
    rows = [row for name, place in places.items() if (row := load_row(name, place)) is not None]
    differences = {}
    for row in rows:
        place = places[row.name]
        wrong = differing(row.ours, row.theirs)
        if wrong and row.ours.built and row.theirs.built:
            sides = (place.results("deb-mock"), place.results("sbuild"))
            differences[row.name] = place.difference(partial(explain_difference, Store.open(), wrong, *sides))
    return make_page(catalogue, rows, differences, [name for name, place in places.items() if place.dsc is None])


if __name__ == "__main__":
    sys.exit(main())
