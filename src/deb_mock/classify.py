"""From a build log to a class of failure and the first real error, with the byte where it stands in the log.

Only the last command of debhelper counts: what stands before it did not end the build. Its log is cut at the first
line where a tool gave up (`make: *** …`, `dh_auto_test: error: …`); the real error is the first telling line before
that. A full disk and a killed compiler come first, because they change whose fault it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deb_mock.failure_rules import BY_STEP, DH_STEP, GAVE_UP, HOST_RULES, MODULE, NETWORK, STRONG, TEST, WEAK, Rule
from debcore.job import FailureReport

#: Bytes read from the end of a log; errors stand there, and a log may have gigabytes.
TAIL = 4 * 1024 * 1024
#: Lines before the place where a tool gave up that may hold the real error.
WINDOW = 2000
#: Lines of the excerpt: before and after the error.
BEFORE, AFTER = 6, 16
#: A line that says that something went well, whatever else stands in it.
PASSED = re.compile(r"(?:ok \d|PASS|XFAIL|checking )")
UNKNOWN = Rule("unknown", GAVE_UP, "read build.log from the line shown")


@dataclass(frozen=True)
class Line:
    """A line of the log without escape sequences; `offset` is its first byte in the file."""

    offset: int
    text: str


def read_lines(path: Path, *, start: int = 0) -> list[Line]:
    """Lines of *path* from byte *start*, at most the last TAIL bytes."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        begin = max(start, size - TAIL)
        file.seek(begin)
        return list(split_lines(file.read(), begin))


def split_lines(data: bytes, begin: int) -> Iterator[Line]:
    """`\\r` ends a line too, as in sbuild: progress bars become lines of their own."""
    offset = begin
    for raw in re.split(rb"(?<=[\r\n])", data):
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw.decode("utf-8", "replace")).rstrip("\r\n")
        if raw:
            yield Line(offset, text[:2000])
        offset += len(raw)


def explain(lines: Sequence[Line], *, stage: str) -> FailureReport:
    """The failure that *lines*, the log of the failed step, tell of."""
    if not lines:
        return FailureReport(stage=stage, kind="unknown", message="nothing was logged")
    start, step = _find_step(lines)
    end = next((n for n in range(start, len(lines)) if GAVE_UP.match(lines[n].text)), len(lines) - 1)
    window = range(max(start, end - WINDOW), end + 1)
    found = (
        _search(lines, range(len(lines) - 1, window.start - 1, -1), HOST_RULES)
        or (_search(lines, window, (NETWORK, MODULE, TEST)) if step == "dh_auto_test" else None)
        or _search(lines, window, STRONG)
        or _search(lines, reversed(window), WEAK)
    )
    n, rule = found or (end, BY_STEP.get(step, UNKNOWN))
    return _report(lines, n, rule, stage)


def _find_step(lines: Sequence[Line]) -> tuple[int, str]:
    """Where the last command of dh begins, and its name; 0 and "" if there was none."""
    for n in range(len(lines) - 1, -1, -1):
        if match := DH_STEP.match(lines[n].text):
            return n, match[1]
    return 0, ""


def _search(lines: Sequence[Line], order: Iterable[int], rules: Sequence[Rule]) -> tuple[int, Rule] | None:
    """The first line in *order* that one of *rules* matches. A test that passed tells of no failure."""
    for n in order:
        text = lines[n].text
        for rule in rules:
            if rule.pattern.search(text) and not PASSED.match(text):
                return n, rule
    return None


def _report(lines: Sequence[Line], n: int, rule: Rule, stage: str) -> FailureReport:
    message = lines[n].text.strip()
    if rule.follow:
        message += " " + next((line.text.strip() for line in lines[n + 1 : n + 6] if line.text.strip()), "")
    return FailureReport(
        stage=stage,
        kind=rule.kind,
        message=message[:400],
        excerpt=tuple(line.text for line in lines[max(0, n - BEFORE) : n + AFTER + 1]),
        log_offset=lines[n].offset,
        hint=rule.hint,
    )
