"""Whether a build gives the same bytes in other surroundings: build again on the same layer, compare, explain."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel, ConfigDict

from deb_mock.buildlog import BuildLog
from deb_mock.dsc import Dsc
from deb_mock.order import Order
from deb_mock.resultdir import SECOND_BUILD
from deb_mock.source import DscSource
from deb_mock.variations import VARIATIONS, find_guilty, surroundings_for
from debcore.errors import BuildFailed, Failure, HostFailed
from debcore.job import JobDirectory, Lock, Output, Result, Status
from debcore.path import write_file
from debroot.store import Store

log = logging.getLogger(__name__)

REPORT = "reproducible.json"
Verdict = Literal["equal", "differs", "missing", "extra"]


class Report(BaseModel):
    """reproducible.json: what was varied, the verdict on each package, and what differs."""

    model_config = ConfigDict(frozen=True)

    api: int = 1
    reproducible: bool
    varied: dict[str, str]  #: name of each variation → what the second build had instead
    artifacts: dict[str, Verdict]
    guilty: tuple[str, ...] | None = None  #: variations that make a difference by themselves; null: not asked
    chance: bool | None = None  #: whether builds differ without any variation; null: not asked
    differences: tuple[str, ...] = ()  #: what diffoscope names, outermost first
    note: str = ""


@dataclass(frozen=True)
class Check:
    """What is asked: variations by name, and whether to find the guilty ones."""

    vary: tuple[str, ...] = tuple(sorted(VARIATIONS))
    find_variation: bool = False


def compare(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, Verdict]:
    """Name → verdict, from name → SHA-256 of two builds; the first is what is expected."""
    verdicts: dict[str, Verdict] = {}
    for name in sorted({*first, *second}):
        if name not in second:
            verdicts[name] = "missing"
        elif name not in first:
            verdicts[name] = "extra"
        else:
            verdicts[name] = "equal" if first[name] == second[name] else "differs"
    return verdicts


def packages_of(outputs: Sequence[Output]) -> dict[str, str]:
    """Name → SHA-256 of what is compared: binary packages. A .changes and a .buildinfo always differ in dates."""
    return {output.path: output.sha256 for output in outputs if output.kind in ("deb", "udeb")}


def verify_reproducible(
    order: Order, check: Check, store: Store, lock: Lock, dsc: Dsc, outputs: Sequence[Output]
) -> tuple[bool, tuple[Output, ...]]:
    """Build *dsc* again, compare with *outputs*; the verdict, and files about it in the order's directory.

    Errors: BuildFailed if the package does not build in the other surroundings; what run_build's result says.
    """
    from deb_mock.diffoscope import explain_differences

    with ExitStack() as stack:
        check, note = leave_out_the_impossible(check, store)
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix=SECOND_BUILD, dir=order.directory)))
        again = _Again(order, store, lock, dsc, packages_of(outputs), scratch)
        log.info("Building again, with other %s", ", ".join(check.vary) or "nothing")
        directory, artifacts = again.build(check.vary)
        same = all(verdict == "equal" for verdict in artifacts.values())
        report = Report(
            reproducible=same, varied={name: VARIATIONS[name].text for name in check.vary}, artifacts=artifacts,
            note=note,
        )  # fmt: skip
        written: list[str] = []
        if not same:
            report = report.model_copy(update=again.blame(check))
            names = [name for name, verdict in artifacts.items() if verdict == "differs"]
            try:
                lines, written = explain_differences(store, names, order.directory, directory, order.directory)
                report = report.model_copy(update={"differences": lines})
            except Failure as error:
                log.warning("diffoscope: %s", error)
                said = f"diffoscope did not run: {error}"
                report = report.model_copy(update={"note": f"{note}; {said}" if note else said})
        write_file(order.directory / REPORT, report.model_dump_json(indent=1) + "\n")
        write_file(order.directory / "build-again.log", (directory / "build.log").read_bytes())
    tell(report)
    job = JobDirectory(order.directory)
    return same, tuple(job.output(name) for name in (REPORT, "build-again.log", *written))


def leave_out_the_impossible(check: Check, store: Store) -> tuple[Check, str]:
    """*check* without what this host cannot vary, and what was left out and why; "" if nothing was."""
    from deb_mock.listing import is_listed_alike

    if "fileordering" not in check.vary or not is_listed_alike(store):
        return check, ""
    note = "fileordering was not varied: this host's disk and memory list directories in the same order"
    log.warning("%s", note)
    return replace(check, vary=tuple(name for name in check.vary if name != "fileordering")), note


def tell(report: Report) -> None:
    """For a person, in a few lines."""
    if report.reproducible:
        log.info("Reproducible: %d packages are the same, bit for bit", len(report.artifacts))
        return
    for name, verdict in report.artifacts.items():
        if verdict != "equal":
            log.warning("Not reproducible: %s %s", name, verdict)
    for line in report.differences[:12]:
        log.warning("  differs: %s", line)
    if report.guilty:
        log.warning("  because of: %s", ", ".join(report.guilty))
    if report.chance:
        log.warning("  even without any variation: time or chance is in it")


class _Again:
    """Builds of the same source on the same layer, each in a directory of its own below *scratch*."""

    def __init__(
        self, order: Order, store: Store, lock: Lock, dsc: Dsc, first: Mapping[str, str], scratch: Path
    ) -> None:
        self._order, self._store, self._lock, self._dsc = order, store, lock, dsc
        self._first, self._scratch = first, scratch
        self._known: dict[tuple[str, ...], tuple[Path, dict[str, Verdict]]] = {}

    def build(self, names: Sequence[str]) -> tuple[Path, dict[str, Verdict]]:
        """The directory of a build with the variations *names*, and how its packages compare with the first's."""
        key = tuple(sorted(names))
        if key not in self._known:
            directory = self._scratch / f"build{len(self._known)}"
            directory.mkdir()
            result = self._run(key, directory)
            if result.status is not Status.BUILT:
                _refuse(result, key)
            self._known[key] = directory, compare(self._first, packages_of(result.outputs))
        return self._known[key]

    def differs(self, names: Sequence[str]) -> bool:
        if names:
            log.info("Looking for the guilty variation: %s", ", ".join(names))
        return any(verdict != "equal" for verdict in self.build(names)[1].values())

    def blame(self, check: Check) -> dict[str, object]:
        if not check.find_variation:
            return {}
        if self.differs(()):
            return {"chance": True, "guilty": ()}
        return {"chance": False, "guilty": find_guilty(check.vary, self.differs)}

    def _run(self, names: tuple[str, ...], directory: Path) -> Result:
        from deb_mock.build import run_build

        order = replace(
            self._order,
            source=DscSource(self._dsc),
            directory=directory,
            lock=self._lock,
            verifies=True,
            offline=True,
            surroundings=surroundings_for(names, self._order.surroundings),
            check=None,
            sign=False,
        )
        return run_build(order, self._store, BuildLog(directory / "build.log"))


def _refuse(result: Result, names: Sequence[str]) -> None:
    failure = result.failure
    said = failure.message if failure else result.status.value
    where = f"the second build, with other {', '.join(names) or 'nothing'}"
    if result.status is Status.FAILED:
        raise BuildFailed(f"{where}, failed: {said}", hint="leave variations out with --vary=-NAME to find which")
    raise HostFailed(f"{where}, ended as {result.status.value}: {said}")
