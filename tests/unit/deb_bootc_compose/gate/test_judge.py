"""From what a machine said to checks: each promise can be broken alone, and is then named."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from deb_bootc_compose.gate.judge import GAVE_UP, PANIC, GateReport, judge_fallback, judge_update
from deb_bootc_compose.gate.machine import Boot, Line, split_boots, where

OLD, NEW, BAD = "a" * 64, "b" * 64, "c" * 64
KEPT = ("etc-new", "etc-edited", "etc-removed", "etc-mode", "etc-late", "var")


def answer(name: str, text: str = "", status: int = 0) -> str:
    return f"PROBE {name} {status} {base64.b64encode(text.encode()).decode()}"


def boot_lines(number: int, commits: tuple[str, ...], more: Mapping[str, tuple[str, int]], end: str) -> list[str]:
    status = "\n".join(f"{'*' if n == 0 else ' '} debian {commit}.0" for n, commit in enumerate(commits))
    lines = [f"BOOT {number}", answer("state", "running"), answer("ostree", status)]
    lines.append(answer("multi-user", "ActiveState=active\nActiveEnterTimestampMonotonic=9"))
    for target, options in (("/", "ro"), ("/usr", "ro"), ("/sysroot", "ro"), ("/etc", "rw"), ("/var", "rw")):
        lines += [answer(f"mount:{target}", f"ext4 {options}"), answer(f"writable:{target}", "", int(options == "ro"))]
    lines.append("END")
    if number > 1:
        lines += [answer(f"kept:{name}") for name in KEPT]
    return [*lines, *(answer(name, *said) for name, said in more.items()), end]


def boots(changes: Mapping[str, tuple[str, int]], *, booted: tuple[str, str, str] = (OLD, NEW, OLD)) -> list[Boot]:
    """Three boots as they should be, but for *changes*: `BOOT:QUESTION` → (text, status)."""
    first = {
        "unsigned": ("GPG verification enabled, but no signatures found", 1),
        "follow": ("gpg-verify=true", 0), "upgrade": ("", 0),
    }  # fmt: skip
    plan: tuple[tuple[int, Mapping[str, tuple[str, int]], str], ...]
    plan = ((1, first, "NEXT"), (2, {"rollback": ("", 0)}, "NEXT"), (3, {}, "DONE"))
    lines: list[str] = []
    for number, more, end in plan:
        mine = {k.partition("=")[2]: v for k, v in changes.items() if k.startswith(f"{number}=")}
        lines += boot_lines(number, (booted[number - 1],), {**more, **mine}, end)
    return split_boots([Line(float(at), text) for at, text in enumerate(lines)])


def judged(changes: Mapping[str, tuple[str, int]], **more: tuple[str, str, str]) -> GateReport:
    return judge_update(boots(changes, **more), before=OLD, after=NEW, signed=True, rollback=True)


def test_an_update_as_it_should_be_has_its_steps() -> None:
    report = judged({})
    assert report.failed == ()
    assert [step.name for step in report.steps][:3] == ["boot 1", "unsigned", "upgrade"]
    assert all(step.seconds >= 0 for step in report.steps)


@pytest.mark.parametrize(
    ("changes", "name", "detail"),
    [
        ({"1=unsigned": ("", 0)}, "unsigned-refused", "nobody signed was taken"),
        ({"1=unsigned": ("error: no route to host", 1)}, "unsigned-refused", "not for its signature"),
        ({"1=follow": ("gpg-verify=false", 0)}, "unsigned-refused", "demands no signatures"),
        ({"1=upgrade": ("x\nerror: No such metadata object", 1)}, "update", "No such metadata"),
        ({"2=failed": ("ssh.service loaded failed", 0)}, "new-boots", "unit ssh.service failed"),
        ({"2=state": ("degraded", 0)}, "new-boots", "degraded"),
        ({"2=kept:etc-edited": ("", 1)}, "etc-edited-kept (new)", ""),
        ({"2=kept:var": ("data.1: FAILED", 1)}, "var-kept (new)", "FAILED"),
        ({"2=rollback": ("error: Out of range", 1)}, "rollback", "Out of range"),
        ({"3=multi-user": ("ActiveState=inactive", 0)}, "old-boots", "multi-user.target was not reached"),
        ({"3=kept:var": ("", 1)}, "var-kept (old)", ""),
    ],
)
def test_each_promise_is_named_when_it_is_broken(changes: dict[str, tuple[str, int]], name: str, detail: str) -> None:
    (failed,) = judged(changes).failed
    assert failed.name == name
    assert detail in failed.detail


def grown(*, size: int = 3 * 1024**3, table: str = "a") -> tuple[str, int]:
    parts = {"disk": 4 * 1024**3, "start": 1024**3, "partition": size, "filesystem": size}
    return "".join(f"{name}={value}\n" for name, value in {"able": "yes", **parts, "table": table}.items()), 0


def test_a_disk_that_was_grown_onto_stays_as_it_is() -> None:
    assert judged({f"{n}=growth": grown() for n in (1, 2, 3)}).failed == ()
    again = {"1=growth": grown(), "2=growth": grown(), "3=growth": grown(table="b")}
    assert [check.name for check in judged(again).failed] == ["disk-stays (old)"]
    assert [check.name for check in judged({"1=growth": grown(), "3=growth": grown()}).failed] == ["disk-stays (new)"]
    # A system that does not grow leaves what one before it grew; one that should grow and does not is told.
    short = grown(size=2 * 1024**3)
    unable = {"1=growth": (short[0].replace("able=yes", "able=no"), 0), "2=growth": grown(), "3=growth": grown()}
    assert judged(unable).failed == ()
    failed = judged({"1=growth": short, "2=growth": short, "3=growth": short}).failed
    assert [check.name for check in failed] == ["new-boots"]
    assert "1024 MiB of the disk are behind its partition" in failed[0].detail


def test_the_wrong_system_is_told_by_its_commit() -> None:
    for booted, name in (
        ((NEW, NEW, OLD), "previous-boots"),
        ((OLD, OLD, OLD), "new-boots"),
        ((OLD, NEW, NEW), "old-boots"),
    ):
        failed = judged({}, booted=booted).failed
        assert [check.name for check in failed] == [name]
    assert judge_update(boots({})[:2], before=OLD, after=NEW, signed=True, rollback=True).failed[0].name == "plan"


def fallback(console: str, *, now: str = OLD, there: str = BAD) -> GateReport:
    lines = boot_lines(1, (OLD,), {"upgrade": ("", 0)}, "NEXT") + boot_lines(2, (now, there), {}, "DONE")
    said = split_boots([Line(float(at), text) for at, text in enumerate(lines)])
    return judge_fallback(said, before=OLD, broken=BAD, console=console, panics=True)


def test_a_fallback_is_counted_and_said() -> None:
    console = f"{PANIC}\n" * 3 + GAVE_UP
    assert fallback(console).failed == ()
    assert [c.name for c in fallback(f"{PANIC}\n{GAVE_UP}").failed] == ["broken-started"]
    assert [c.name for c in fallback(f"{PANIC}\n" * 3).failed] == ["boot-loader-gave-up"]
    assert [c.name for c in fallback(console, now=BAD).failed] == ["fell-back"]
    assert [c.name for c in fallback(console, there=NEW).failed] == ["broken-is-there"]


def test_a_message_says_how_far_the_plan_came() -> None:
    plan = ("update", "rollback", "end")
    assert where([], plan) == "before its first system was up"
    assert where([Line(1, "BOOT 1")], plan) == "in boot 1 of 3"
    assert where([Line(1, "BOOT 1"), Line(2, "NEXT")], plan) == "while it was starting again after `update`"
    assert where([Line(1, "BOOT 1"), Line(2, "NEXT"), Line(3, "BROKEN")], plan).endswith("started 1 times")
