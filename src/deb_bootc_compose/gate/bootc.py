"""What the bootc of an image is asked to do in machines, and whether it did it. The judging is pure.

Installing: the disk image of a compose boots beside a blank disk, and its bootc installs a container image from a
registry onto it. What it made then boots alone. Source: bootc-install-to-disk(8), bootc-upgrade(8), bootc-status(8).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deb_bootc_compose.boot.qemu import BLANK
from deb_bootc_compose.boot.report import Answer, BootReport, judge, parse_answers
from deb_bootc_compose.disk.layout import default_kargs
from deb_bootc_compose.gate.judge import Check, GateReport, complete, done, kept, parse_boot, starts, stays, steps
from deb_bootc_compose.gate.machine import BLANK_DISK, IMAGE, Boot, Bootc, Say, run_plan
from debroot.store import Store

#: Seconds in which a machine must say something; an installation is one step, emulated, on a busy host.
PATIENCE = 3600.0


@dataclass(frozen=True)
class Booted:
    """What `bootc status` says of the running system."""

    digest: str = ""  #: of the image: sha256:…
    composefs: bool = False  #: bootc's own backend, not OSTree's
    problem: str = ""


def install_words(*, bootupd: bool, filesystem: str, arch: str) -> tuple[str, ...]:
    """What `bootc install to-disk` is told beside source and disk.

    Its OSTree backend wants bootupd; without that it is the composefs backend, which brings systemd-boot. The image's
    own kernel arguments come from its kargs.d: only the consoles are ours.
    """
    backend = () if bootupd else ("--composefs-backend", "--bootloader=systemd")
    return (*backend, f"--filesystem={filesystem}", *(f"--karg={arg}" for arg in default_kargs(arch)))


@contextmanager
def installing(
    store: Store, image: Path, layout: Path, digest: str, *, size: int, words: Sequence[str], console_log: Path,
    say: Say, arch: str,
) -> Iterator[tuple[tuple[Boot, ...], Path]]:  # fmt: skip
    """Boot *image*, have its bootc install the image *digest* of *layout* onto a disk of *size* bytes.

    Yields what was said and the disk, which is gone at exit. Errors: as run_plan.
    """
    with store.throwaway() as place:
        boots = run_plan(
            store, image, plan=("bootc-install",), environment=environment(words), key="", binds=(),
            console_log=console_log, patience=PATIENCE, say=say, arch=arch,
            bootc=Bootc(layout, digest, blank=place, size=size),
        )  # fmt: skip
        yield boots, place / Path(BLANK_DISK).name


def run_installed(
    store: Store, disk: Path, layout: Path, digest: str, *, plan: Sequence[str], console_log: Path, say: Say, arch: str
) -> tuple[Boot, ...]:
    """Boot what `installing` made; the registry now has the image *digest* of *layout*. Errors: as run_plan."""
    return run_plan(
        store, disk, plan=plan, environment=environment(()), key="", binds=(), console_log=console_log,
        patience=PATIENCE, say=say, arch=arch, bootc=Bootc(layout, digest),
    )  # fmt: skip


def environment(words: Sequence[str]) -> Mapping[str, str]:
    return {"IMAGE": IMAGE, "INSTALL": " ".join(words), "BLANK": BLANK, "BROKEN": ""}


def judge_install(first: Sequence[Boot], then: Sequence[Boot], *, commit: str, digest: str) -> GateReport:
    """*first*: the machine that installed, which ran *commit*; *then*: the one that was installed."""
    boots = (*first, *then)
    reports = tuple(parse_boot(boot) for boot in boots)
    checks = [*starts("image-boots", reports[0], commit), installs(first[0])]
    if then:
        checks += clean("installed-boots", then[0], reports[1], digest)
    checks += complete(boots, 2, checks)
    return GateReport(
        gate="bootc-install", before=commit, after=digest, steps=steps(boots), checks=tuple(checks), boots=reports
    )


def judge_upgrade(
    first: Sequence[Boot], then: Sequence[Boot], *, commit: str, before: str, after: str, rollback: bool
) -> GateReport:
    """*first*: the machine of the compose before, which ran *commit* and installed *before*; *then*: what it made."""
    boots = (*first, *then)
    reports = tuple(parse_boot(boot) for boot in boots)
    checks = [*starts("previous-image-boots", reports[0], commit), installs(first[0])]
    if then:
        checks += runs("previous-boots", then[0], reports[1], before)
        checks.append(done("upgrade", parse_answers(then[0].text).get("upgrade")))
    if len(then) > 1:
        checks += clean("new-boots", then[1], reports[2], after)
        checks += kept("new", then[1])
        checks += stays("new", reports[1], reports[2])
    if rollback and len(then) > 1:
        checks.append(done("rollback", parse_answers(then[1].text).get("rollback")))
        if len(then) > 2:
            checks += runs("old-boots", then[2], reports[3], before)
            checks += kept("old", then[2])
            checks += stays("old", reports[2], reports[3])
    checks += complete(boots, 4 if rollback else 3, checks)
    return GateReport(
        gate="bootc-upgrade", before=before, after=after, steps=steps(boots), checks=tuple(checks), boots=reports
    )


def installs(boot: Boot) -> Check:
    return done("install", parse_answers(boot.text).get("install"))


def parse_status(answer: Answer | None) -> Booted:
    """Output of `bootc status --json`, of org.containers.bootc/v1 and v1alpha1."""
    if answer is None or answer.status != 0:
        said = answer.text.strip()[-300:] if answer is not None else ""
        return Booted(problem=f"`bootc status` failed: {said or 'it said nothing'}")
    try:
        booted: dict[str, Any] = json.loads(answer.text)["status"]["booted"]
        return Booted(str(booted["image"]["imageDigest"]), composefs=bool(booted.get("composefs")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Booted(problem="`bootc status` names no booted image")


def runs(name: str, boot: Boot, report: BootReport, digest: str) -> Iterator[Check]:
    """It runs the image *digest* and is up; what else is wrong with it is not this compose's."""
    booted = parse_status(parse_answers(boot.text).get("bootc-status"))
    problem = wrong_image(booted, digest)
    if not problem and not report.multi_user:
        problem = f"multi-user.target was not reached: the system is {report.state}"
    failed = f"failed there: {', '.join(report.failed_units)}" if report.failed_units else ""
    yield Check(name=name, ok=not problem, detail=problem or failed)


def clean(name: str, boot: Boot, report: BootReport, digest: str) -> Iterator[Check]:
    """It runs the image *digest* as an image must."""
    booted = parse_status(parse_answers(boot.text).get("bootc-status"))
    problem = wrong_image(booted, digest)
    problems = [*([problem] if problem else []), *judge(report, ostree=not booted.composefs).problems]
    yield Check(name=name, ok=not problems, detail="; ".join(problems))


def wrong_image(booted: Booted, digest: str) -> str:
    if booted.problem or booted.digest == digest:
        return booted.problem
    return f"it runs the image {booted.digest[:19]}, not {digest[:19]}"
