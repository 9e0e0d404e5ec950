"""Whether two builders made the same .debs, and in what they differ where they did not."""

from __future__ import annotations

from pathlib import Path

from benchmarks.packages.records import Record
from debroot.bootstrap import tools_root
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Store

#: Lines of diffoscope's report that are kept.
LINES = 120


def differing(ours: Record, theirs: Record) -> list[str]:
    """Names of .debs that only one side made or that are not byte-identical."""
    return sorted(name for name in {*ours.debs, *theirs.debs} if ours.debs.get(name) != theirs.debs.get(name))


def explain_difference(store: Store, names: list[str], ours: Path, theirs: Path) -> str:
    """diffoscope's words on each of *names*, cut."""
    tools = tools_root(store, packages=("diffoscope-minimal", "binutils", "xz-utils", "zstd"))
    binds = (Bind(source=ours, target="/in/deb-mock"), Bind(source=theirs, target="/in/sbuild"))
    said = []
    for name in names:
        missing = [side.name for side in (ours, theirs) if not (side / name).is_file()]
        if missing:
            said.append(f"{name}: not made by {missing[0]}")
            continue
        argv = ["diffoscope", "--no-progress", "--max-text-report-size=100000", f"/in/deb-mock/{name}"]
        done = run_in(
            Sandbox(lowers=tools.lowers(), binds=binds),
            [*argv, f"/in/sbuild/{name}"],
            idmap=store.idmap,
            capture=True,
            check=False,
        )
        said += done.text.splitlines()[:LINES]
    return "\n".join(said) + "\n"
