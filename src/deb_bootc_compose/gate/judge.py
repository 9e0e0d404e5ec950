"""Whether a machine did what an update, a rollback and a fallback promise. Pure: from what was said to checks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from deb_bootc_compose.boot.report import Answer, BootReport, judge, parse_answers, parse_report
from deb_bootc_compose.gate.machine import Boot

#: What ostree says of a commit that is not signed as demanded.
REFUSED = re.compile(r"signature|gpg", re.IGNORECASE)

PANIC = "Kernel panic - not syncing"
GAVE_UP = "The newest system did not come up"  #: GRUB's line, see boot/grub-generator
TRIALS = 3  #: of boot/grub-generator


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Check(Frozen):
    """One thing that must hold."""

    name: str
    ok: bool
    detail: str = ""


class Step(Frozen):
    name: str
    seconds: float  #: of the host's clock


class GateReport(Frozen):
    """The record of one machine."""

    gate: Literal["update", "fallback", "bootc-install", "bootc-upgrade"]
    before: str  #: the commit that the machine began with; of an image of bootc its digest
    after: str  #: the one that it updated to
    steps: tuple[Step, ...]
    checks: tuple[Check, ...]
    boots: tuple[BootReport, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)


def judge_update(
    boots: Sequence[Boot], *, before: str, after: str, signed: bool, rollback: bool
) -> GateReport:  # fmt: skip
    """From the compose before to this one, and back if *rollback*."""
    reports = tuple(parse_boot(boot) for boot in boots)
    checks = [*starts("previous-boots", reports[0], before)]
    first = parse_answers(boots[0].text)
    if signed:
        checks.append(refused(first))
    checks.append(done("update", first.get("upgrade")))
    if len(boots) > 1:
        checks += clean("new-boots", reports[1], after)
        checks += kept("new", boots[1])
        checks += stays("new", reports[0], reports[1])
    if rollback and len(boots) > 1:
        checks.append(done("rollback", parse_answers(boots[1].text).get("rollback")))
        if len(boots) > 2:
            checks += starts("old-boots", reports[2], before)
            checks += kept("old", boots[2])
            checks += stays("old", reports[1], reports[2])
    checks += complete(boots, 3 if rollback else 2, checks)
    return GateReport(
        gate="update", before=before, after=after, steps=steps(boots), checks=tuple(checks), boots=reports
    )


def judge_fallback(boots: Sequence[Boot], *, before: str, broken: str, console: str, panics: bool) -> GateReport:
    """An update that cannot boot: the machine must be back in *before* without anybody's help."""
    reports = tuple(parse_boot(boot) for boot in boots)
    checks = [*starts("new-boots", reports[0], before)]
    checks.append(done("update", parse_answers(boots[0].text).get("upgrade")))
    started = console.count(PANIC) if panics else sum(boot.text.count("BROKEN\n") for boot in boots)
    checks.append(
        Check(name="broken-started", ok=started == TRIALS, detail=f"started {started} times, not {TRIALS}")
        if started != TRIALS
        else Check(name="broken-started", ok=True, detail=f"{TRIALS} times")
    )
    checks.append(
        Check(
            name="boot-loader-gave-up",
            ok=GAVE_UP in console,
            detail="" if GAVE_UP in console else "GRUB did not say so",
        )
    )
    if len(boots) > 1:
        checks += clean("fell-back", reports[1], before)
        checks += kept("fallen-back", boots[1])
        checks += stays("fallen-back", reports[0], reports[1])
        there = any(one.commit == broken and not one.booted for one in reports[1].deployments)
        checks.append(Check(name="broken-is-there", ok=there, detail="" if there else "it was never deployed"))
    checks += complete(boots, 2, checks)
    return GateReport(
        gate="fallback", before=before, after=broken, steps=steps(boots), checks=tuple(checks), boots=reports
    )


def parse_boot(boot: Boot) -> BootReport:
    ended = boot.at("END") or boot.lines[-1].at
    return parse_report(boot.text, boot_seconds=ended - boot.since)


def starts(name: str, report: BootReport, commit: str) -> Iterator[Check]:
    """It runs *commit* and is up; what else is wrong with it is not this compose's."""
    booted = [one.commit for one in report.deployments if one.booted]
    if booted != [commit]:
        detail = f"it runs {', '.join(one[:12] for one in booted) or 'no deployment'}, not {commit[:12]}"
        yield Check(name=name, ok=False, detail=detail)
    elif not report.multi_user:
        yield Check(name=name, ok=False, detail=f"multi-user.target was not reached: the system is {report.state}")
    else:
        failed = f"failed there: {', '.join(report.failed_units)}" if report.failed_units else ""
        yield Check(name=name, ok=True, detail=failed)


def clean(name: str, report: BootReport, commit: str) -> Iterator[Check]:
    """It runs *commit* as an image must."""
    problems = judge(report, commit=commit).problems
    yield Check(name=name, ok=not problems, detail="; ".join(problems))


def done(name: str, answer: Answer | None) -> Check:
    if answer is None:
        return Check(name=name, ok=False, detail="it was not done")
    return Check(name=name, ok=answer.status == 0, detail="" if answer.status == 0 else _end(answer.text))


def refused(answers: dict[str, Answer]) -> Check:
    """An update that nobody signed."""
    answer = answers.get("unsigned")
    verify = answers.get("follow")
    if verify is None or "gpg-verify=true" not in verify.text:
        said = _end(verify.text) if verify else "nothing"
        return Check(name="unsigned-refused", ok=False, detail=f"the machine demands no signatures: {said}")
    if answer is None or answer.status == 0:
        return Check(name="unsigned-refused", ok=False, detail="an update that nobody signed was taken")
    if not REFUSED.search(answer.text):
        return Check(name="unsigned-refused", ok=False, detail=f"not for its signature: {_end(answer.text)}")
    return Check(name="unsigned-refused", ok=True, detail=_end(answer.text))


def kept(where: str, boot: Boot) -> Iterator[Check]:
    """What was changed in /etc and written to /var before."""
    answers = parse_answers(boot.text)
    for name in ("etc-new", "etc-edited", "etc-removed", "etc-mode", "etc-late", "var"):
        answer = answers.get(f"kept:{name}")
        ok = answer is not None and answer.status == 0
        yield Check(name=f"{name}-kept ({where})", ok=ok, detail="" if ok else _end(answer.text if answer else ""))


def stays(where: str, before: BootReport, now: BootReport) -> Iterator[Check]:
    """A disk that the boot before grew onto is then left as it is, to the byte of its table."""
    if before.growth is not None and before.growth.able and not before.growth.problem:
        same = now.growth is not None and now.growth.model_copy(update={"able": True}) == before.growth
        detail = "" if same else f"{before.growth} became {now.growth}"
        yield Check(name=f"disk-stays ({where})", ok=same, detail=detail)


def complete(boots: Sequence[Boot], number: int, checks: Sequence[Check]) -> Iterator[Check]:
    """A plan ends early where a step fails, which says more."""
    if len(boots) != number and all(check.ok for check in checks):
        yield Check(name="plan", ok=False, detail=f"{len(boots)} boots, not {number}")


def steps(boots: Sequence[Boot]) -> tuple[Step, ...]:
    """How long each boot took, and what was done in it, in seconds."""
    found: list[Step] = []
    for number, boot in enumerate(boots, start=1):
        up = boot.at("END")
        if up is None:
            continue
        found.append(Step(name=f"boot {number}", seconds=round(up - boot.since, 1)))
        before = up
        for name in ("install", "unsigned", "upgrade", "rollback"):
            at = boot.at(f"PROBE {name} ")
            if at is not None:
                found.append(Step(name=name, seconds=round(at - before, 1)))
                before = at
    return tuple(found)


def _end(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it said nothing"
