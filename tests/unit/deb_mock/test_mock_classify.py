"""The class of a failure and the first real error, from logs as the tools write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_mock.checks.gate import GateFailed, check_gate, judge
from deb_mock.checks.lintian import parse_tags
from deb_mock.checks.model import Found
from deb_mock.checks.policy import Policy
from deb_mock.classify import explain, read_lines, split_lines
from deb_mock.outcome import HostStepFailed, LimitStepFailed, StepFailed, fail_step
from debcore.job import FailureReport, Limits
from tests.failures.case import GOLDEN, Case
from tests.failures.corpus import CASES

COMPILE = """checking for gcc... gcc
cc -c -o a.o a.c
a.c:3:5: warning: unused variable
a.c:7:1: error: expected ‘;’ before ‘}’ token
a.c:9:2: error: ‘x’ undeclared
make[1]: *** [Makefile:4: a.o] Error 1
make[1]: Leaving directory '/build'
dh_auto_build: error: make -j2 returned exit code 2
make: *** [debian/rules:4: binary] Error 25
dpkg-buildpackage: error: debian/rules binary subprocess returned exit status 2
"""


@pytest.mark.parametrize(
    ("log", "kind", "message"),
    [
        (COMPILE, "compile", "a.c:7:1: error: expected ‘;’ before ‘}’ token"),
        ("/usr/bin/ld: a.o: undefined reference to `f'\nmake: *** [a] Error 1\n", "link", "undefined reference to `f'"),
        ("FAIL: t1\n# FAIL:  1\ndh_auto_test: error: make check returned exit code 2\n", "test", "FAIL: t1"),
        ("dh_install: error: missing files, aborting\nmake: *** [binary] Error 25\n", "debhelper", "missing files"),
        ("configure: error: no foo\nmake: *** [x] Error 1\n", "configure", "configure: error: no foo"),
        ("dpkg-source: error: LOCAL.diff: patch does not apply\n", "patch", "patch"),
        ("curl: (6) Could not resolve host: example.org\nmake: *** [x] Error 6\n", "network", "Could not resolve"),
        ("sh: 1: frob: not found\nmake: *** [x] Error 127\n", "command", "frob"),
        ("cc1: error writing to /tmp/x.s: No space left on device\nmake: *** [a] Error 1\n", "disk", "No space left"),
        ("gcc: fatal error: Killed signal terminated program cc1\nmake: *** [a] Error 1\n", "memory", "Killed"),
        ("something\nmake: *** [Makefile:3: all] Error 3\n", "unknown", "make: *** [Makefile:3: all] Error 3"),
        ("", "unknown", "nothing was logged"),
    ],
)
def test_the_first_real_error_is_found(log: str, kind: str, message: str) -> None:
    report = explain(list(split_lines(log.encode(), 0)), stage="build")
    assert (report.kind, report.stage) == (kind, "build")
    assert message in report.message


def test_the_offset_is_where_the_line_stands(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    before = "older step: error: not ours\n"
    path.write_bytes((before + COMPILE).encode())
    report = explain(read_lines(path, start=len(before)), stage="build")
    assert report.log_offset is not None
    assert path.read_bytes()[report.log_offset :].startswith(b"a.c:7:1: error")
    assert any("a.c:9:2" in line for line in report.excerpt)
    assert len(report.excerpt) <= 40


def test_carriage_returns_and_colours_do_not_hide_errors() -> None:
    log = b" 10%\r 20%\r\x1b[31ma.c:1:1: error: x\x1b[0m\nmake: *** [a] Error 1\n\xff\n"
    assert explain(list(split_lines(log, 0)), stage="build").message == "a.c:1:1: error: x"


@pytest.mark.parametrize(
    ("kind", "limits", "status"),
    [
        ("compile", Limits(), 4),
        ("disk", Limits(), 6),
        ("disk", Limits(disk=1), 7),
        ("processes", Limits(), 6),
        ("processes", Limits(processes=1), 7),
        ("memory", Limits(), 7),
    ],
)
def test_a_full_host_is_never_the_packages_fault(kind: str, limits: Limits, status: int) -> None:
    failure = fail_step(FailureReport(stage="build", kind=kind, message="m"), limits)
    assert failure.status == status
    assert isinstance(failure, StepFailed | HostStepFailed | LimitStepFailed)


LOGGED = [case for case in CASES if case.logged]


@pytest.mark.parametrize("case", LOGGED, ids=lambda case: case.name)
def test_logs_of_real_failures_are_read_right(case: Case) -> None:
    report = explain(read_lines(case.log), stage=case.stage)
    assert (report.kind, case.message in report.message) == (case.kind, True), report.message
    assert report.log_offset is not None
    line = case.log.read_bytes()[report.log_offset :].split(b"\n")[0].decode()
    assert report.message.startswith(line.strip()[:100])


CHECKED = [case for case in CASES if case.check]
PARSERS = {"lintian": parse_tags}


@pytest.mark.parametrize("case", CHECKED, ids=lambda case: case.name)
def test_logs_of_real_gates_are_read_right(case: Case) -> None:
    found = Found(tuple(PARSERS[case.check](case.log.read_text())))
    with pytest.raises(GateFailed) as closed:
        check_gate([judge(case.check, found, None, Policy(), source="broken")])
    report = closed.value.report
    assert (report.kind, report.stage) == (case.kind, case.stage)
    assert report.message.startswith(case.message)


def test_each_golden_log_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {case.name for case in (*LOGGED, *CHECKED)}


def test_what_an_earlier_step_of_debhelper_printed_is_not_the_error() -> None:
    log = (
        "   dh_auto_configure\nconftest.c:1:1: error: no\nmake: *** [x] Error 1\n   dh_install\ndh_install: error: no\n"
    )
    assert explain(list(split_lines(log.encode(), 0)), stage="build").message == "dh_install: error: no"


def test_a_warning_about_symbols_is_not_the_error() -> None:
    log = (
        "   dh_makeshlibs\ndpkg-gensymbols: warning: some new symbols appeared in the symbols file: see below\n"
        "dh_makeshlibs: error: no\nmake: *** [x] Error 25\n"
    )
    assert explain(list(split_lines(log.encode(), 0)), stage="build").message == "dh_makeshlibs: error: no"


def test_a_test_that_passes_may_print_anything() -> None:
    log = "ok 1 - No space left on device\nnot ok 2 - sums\nmake: *** [check] Error 1\n"
    assert explain(list(split_lines(log.encode(), 0)), stage="build").kind == "test"
