"""Why build dependencies cannot be met, as dose3 proves it: which clause of which package, through which chain.

apt says where its own search ended; dose3 decides whether any choice of packages would do, as Debian's builders ask it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debcore.errors import Failure
from debcore.job import AptSource, Unmet, UnmetStep
from debroot.bootstrap import core_tools, tools_root
from debroot.indexes import Indexes
from debroot.offer import OFFER, make_offer
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Package, Store

DOSE = ("dose-builddebcheck",)
#: What the made-up source packages are called: one for each clause by itself, then one with all of them.
WHOLE = "build-dependencies"


def ask_dose(
    store: Store,
    sources: Sequence[AptSource],
    arch: str,
    depends: str,
    conflicts: str = "",
    *,
    debs: Sequence[Package] = (),
) -> str:
    """dose-builddebcheck's YAML report on reduced build dependencies, from the indexes that apt has just used.

    Errors: Failure if dose3 cannot be had or run.
    """
    tools = _find_tools(store)
    with Indexes(store, core_tools(store), tuple(sources), arch) as indexes:
        return _run_dose(store, tools, indexes, arch, make_sources(depends, conflicts), make_offer(store, debs))


@dataclass(frozen=True)
class Asked:
    """Reduced build dependencies and conflicts of one source."""

    depends: str
    conflicts: str = ""


@dataclass(frozen=True)
class Said:
    """What dose3 found: for each that was asked the reasons, none where a choice of packages would do.

    `release_hashes`: of the Release files that it was found on, by apt's names of them.
    """

    unmet: tuple[tuple[Unmet, ...], ...]
    release_hashes: Mapping[str, str]


def ask_dose_of_many(
    store: Store, sources: Sequence[AptSource], arch: str, asked: Sequence[Asked], *, packages: bytes = b"",
    max_age: float = 0.0,
) -> Said:  # fmt: skip
    """One pass of dose-builddebcheck over all that is *asked*, on *sources* and the Packages index *packages*.

    Indexes are checked against the archive unless that happened less than *max_age* seconds ago.
    Errors: Failure if dose3 cannot be had or run, or the archive cannot be read.
    """
    tools = _find_tools(store) if asked else None
    with Indexes(store, core_tools(store), tuple(sources), arch) as indexes:
        indexes.update(max_age)
        hashes = indexes.release_hashes()
        if tools is None:
            return Said((), hashes)
        # What can be had as a whole needs no look at its clauses: of an archive, that is nearly all.
        wholes = "\n".join(_make_whole(one.depends, one.conflicts, mark=f".{n}") for n, one in enumerate(asked))
        bad = sorted(
            int(of) for of in parse_reports(_run_dose(store, tools, indexes, arch, wholes, packages), arch=arch)
        )
        if not bad:
            return Said(((),) * len(asked), hashes)
        text = "\n".join(make_sources(asked[n].depends, asked[n].conflicts, of=f"{n}") for n in bad)
        said = _run_dose(store, tools, indexes, arch, text, packages)
    by_source = parse_reports(said, arch=arch)
    return Said(tuple(by_source.get(f"{n}", ()) for n in range(len(asked))), hashes)


def _find_tools(store: Store) -> Layer:
    """Before the indexes are locked: to make the root may need the same ones, and would wait for us."""
    return tools_root(store, packages=DOSE)


def _run_dose(store: Store, tools: Layer, indexes: Indexes, arch: str, sources: str, packages: bytes) -> str:
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        here.chmod(0o755)
        (here / "Sources").write_text(sources)
        (here / OFFER).write_bytes(packages)
        lists = [f"/lists/{path.name}" for path in indexes.package_lists()]
        argv = ["dose-builddebcheck", f"--deb-native-arch={arch}", "--explain", "--failures", *lists]
        argv += [f"/in/{OFFER}", "/in/Sources"]
        binds = (Bind(source=here, target="/in"), Bind(source=indexes.lists, target="/lists"))
        done = run_in(Sandbox(lowers=tools.lowers(), binds=binds), argv, idmap=store.idmap, check=False, capture=True)
    if not is_whole(done.text):
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise Failure(f"dose3 gave no whole report (exit status {done.status}): {said}")
    return done.text


def is_whole(report: str) -> bool:
    """Whether it ends with the number of broken packages, and lists as many: what it does not list counts as good."""
    broken = re.search(r"^broken-packages: (\d+)$", report, re.MULTILINE)
    return "report:" in report and broken is not None and int(broken[1]) == report.count("\n  status: broken\n")


def make_sources(depends: str, conflicts: str, *, of: str = "") -> str:
    """A Sources index: each clause by itself, because dose3 names one reason for a package, then all together.

    *of* tells several sources of one index apart: a number.
    """
    clauses = [clause.strip() for clause in depends.split(",") if clause.strip()]
    mark = f".{of}" if of else ""
    stanzas = [_make_stanza(f"clause-{n}{mark}", [f"Build-Depends: {clause}"]) for n, clause in enumerate(clauses)]
    return "\n".join([*stanzas, _make_whole(depends, conflicts, mark=mark)])


def _make_whole(depends: str, conflicts: str, *, mark: str) -> str:
    lines = [f"Build-Depends: {depends}"] if depends else []
    lines += [f"Build-Conflicts: {conflicts}"] if conflicts else []
    return _make_stanza(f"{WHOLE}{mark}", lines)


def _make_stanza(name: str, lines: Sequence[str]) -> str:
    return "\n".join([f"Package: {name}", *lines, "Version: 1", "Architecture: any", ""])


def parse_report(text: str, *, arch: str) -> tuple[Unmet, ...]:
    """The reasons in a report of `ask_dose`; none if dose3 finds a choice of packages. Clauses that hold by themselves
    but not together are told by the whole's reason."""
    return parse_reports(text, arch=arch).get("", ())


def parse_reports(text: str, *, arch: str) -> dict[str, tuple[Unmet, ...]]:
    """The same for several sources, by what tells them apart in `make_sources`; what can be had has no entry."""
    import yaml

    entries = yaml.load(text, yaml.BaseLoader).get("report") or []  # noqa: S506 -- strings only: 1.10 is no number
    by_source: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        by_source.setdefault(entry["package"].partition(".")[2], []).append(entry)
    return {of: _parse_entries(mine, arch) for of, mine in by_source.items()}


def _parse_entries(entries: Sequence[Mapping[str, Any]], arch: str) -> tuple[Unmet, ...]:
    single = [entry for entry in entries if entry["package"].partition(".")[0] != WHOLE]
    found = [_parse_reason(reason, arch) for entry in single or entries for reason in entry.get("reasons") or []]
    return tuple(dict.fromkeys(found))


def _parse_reason(reason: Mapping[str, Any], arch: str) -> Unmet:
    if "missing" in reason:
        what = reason["missing"]
        return Unmet(
            kind="missing",
            package=_name(what["pkg"]),
            clause=_plain(what["pkg"]["unsat-dependency"], arch),
            chain=_parse_chain(what.get("depchains"), arch),
        )
    what = reason["conflict"]
    return Unmet(
        kind="conflict",
        package=_name(what["pkg1"]),
        clause=_plain(what["pkg1"].get("unsat-conflict", ""), arch),
        other=_name(what["pkg2"]),
        chain=_parse_chain(what.get("depchain1"), arch),
        other_chain=_parse_chain(what.get("depchain2"), arch),
    )


def _parse_chain(chains: Any, arch: str) -> tuple[UnmetStep, ...]:
    """The first of *chains*; dose3 gives all there are. What is essential is no step: nothing depends on it."""
    steps = [step for step in chains[0]["depchain"] if "depends" in step] if chains else []
    return tuple(UnmetStep(package=_name(step), depends=_plain(step["depends"], arch)) for step in steps)


def _name(package: Mapping[str, str]) -> str:
    made_up = package["package"].partition(".")[0] == WHOLE or package["package"].startswith("clause-")
    return WHOLE if made_up and package.get("type") == "src" else f"{package['package']} {package['version']}"


def _plain(clause: str, arch: str) -> str:
    return clause.replace(f":{arch}", "")


def describe_unmet(unmet: Unmet) -> Iterator[str]:
    """One sentence, then a line for each chain that leads there."""
    if unmet.kind == "missing":
        yield f"{_who(unmet.package)} {unmet.clause}, which no package is or provides"
    elif unmet.clause:
        yield f"{unmet.package} conflicts with {unmet.clause}, which {unmet.other} is or provides"
    else:
        yield f"{unmet.package} and {unmet.other} cannot be installed together"
    for chain in (unmet.chain, unmet.other_chain):
        if chain:
            yield "  " + " → ".join(f"{step.package} needs {step.depends}" for step in chain)


def _who(package: str) -> str:
    return "the build dependencies need" if package == WHOLE else f"{package} needs"
