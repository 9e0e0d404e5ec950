"""The page docs/reference/packages.md, from the records of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.packages.compare import differing
from benchmarks.packages.records import Catalogue, Place, Record
from deb_mock.dsc import Dsc, load_dsc

HEADER = """\
# Real packages: deb-mock beside sbuild

Made by `make packages`. Each source package of Debian 13 is built by deb-mock and by Debian 13's sbuild 0.89 (unshare,
its own resolver, a root of the same mirror) on the same machine, and the .debs are compared byte for byte. `as root`:
the binary targets ran with the sandbox's root. How long either takes is a question for `make bench`.
"""
COLUMNS = ("package", "format", "packages", "built with", "shows", "deb-mock", "sbuild", ".debs", "the same")
#: What the log of a build says about the build system: first match.
SYSTEMS = (
    ("cmake", r"^\tcd \S+ && .*cmake "),
    ("meson", r"^\tcd \S+ && .*meson setup"),
    ("Go", r"^\tcd \S+ && go (?:install|build)|--buildsystem[= ]golang"),
    ("pybuild", r"pybuild --configure|pybuild --build|--buildsystem[= ]pybuild"),
    ("Perl", r"perl .*(?:Makefile|Build)\.PL"),
    ("autotools", r"^\t(?:cd \S+ && )?\S*/configure --build="),
)


@dataclass(frozen=True)
class Row:
    """One package of which both builders have a record."""

    name: str
    dsc: Dsc
    ours: Record
    theirs: Record
    traits: str

    @property
    def verdict(self) -> str:
        if self.ours.built and self.theirs.built:
            wrong = differing(self.ours, self.theirs)
            return "yes" if not wrong else f"no: {len(wrong)} of {len(self.ours.debs)}"
        if not self.ours.built and not self.theirs.built:
            return "both fail"
        return "only deb-mock builds it" if self.ours.built else "only sbuild builds it"


def find_traits(log: str) -> str:
    """Build system and how root was gained, as deb-mock's log shows them."""
    system = next((name for name, pattern in SYSTEMS if re.search(pattern, log, re.M)), "make or own rules")
    gained = re.search(r"^Command: dpkg-buildpackage .*--root-command=", log, re.M)
    return f"{system}, as root" if gained else system


def load_row(name: str, place: Place) -> Row | None:
    ours, theirs = place.find("deb-mock"), place.find("sbuild")
    if place.dsc is None or ours is None or theirs is None:
        return None
    log = place.results("deb-mock") / "build.log"
    traits = find_traits(log.read_text(errors="replace")) if log.is_file() else ""
    return Row(name, load_dsc(place.dsc), ours, theirs, traits)


def make_page(
    catalogue: Catalogue, rows: Sequence[Row], differences: Mapping[str, str], unserved: Sequence[str]
) -> str:
    return "\n".join([HEADER, *_page(catalogue, rows, differences, unserved)]).rstrip() + "\n"


def _page(
    catalogue: Catalogue, rows: Sequence[Row], differences: Mapping[str, str], unserved: Sequence[str]
) -> Iterator[str]:
    built = [row for row in rows if row.ours.built and row.theirs.built]
    same = [row for row in built if row.verdict == "yes"]
    commits = sorted({row.ours.commit for row in rows if row.ours.commit})
    yield (
        f"{len(rows)} packages were tried with both, {len(built)} were built by both, and {len(same)} of these gave "
        f"identical .debs ({sum(len(row.ours.debs) for row in same)} files)."
    )
    yield f"\n{datetime.now(UTC):%d %B %Y}, deb-mock of commit {', '.join(commits)}.\n"
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|" + "---|" * len(COLUMNS)
    for row in sorted(rows, key=lambda row: row.name):
        kinds = sorted({"all" if word == "all" else "any" for word in row.dsc.architectures})
        cells = [f"{row.name} {row.dsc.version}", row.dsc.format, " and ".join(kinds), row.traits]
        cells += [
            catalogue.packages[row.name],
            row.ours.status,
            row.theirs.status,
            str(len(row.ours.debs)),
            row.verdict,
        ]
        yield f"| {' | '.join(cells)} |"
    wrong = [row for row in rows if row.verdict != "yes"]
    if wrong:
        yield "\n## What is not the same, and why\n"
    for row in sorted(wrong, key=lambda row: row.name):
        yield f"### {row.name}\n"
        yield catalogue.explained.get(row.name, "Not explained yet.")
        yield from (f"\n- {side}: {record.said}" for side, record in _failed(row))
        if row.name in differences:
            yield f"\n```\n{differences[row.name].rstrip()}\n```"
        yield ""
    if unserved:
        yield "## Not tried\n"
        yield "The mirror at hand did not serve all files of these sources: " + ", ".join(sorted(unserved)) + "."


def _failed(row: Row) -> Iterator[tuple[str, Record]]:
    for side, record in (("deb-mock", row.ours), ("sbuild", row.theirs)):
        if not record.built:
            yield side, record
