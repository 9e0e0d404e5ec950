"""From findings to a report, and from reports to a failed build."""

from __future__ import annotations

import pytest

from deb_mock.checks.gate import MAX_FINDINGS, GateFailed, check_gate, describe, judge
from deb_mock.checks.model import Finding, Found, NotRun
from deb_mock.checks.policy import Policy, parse_fail_on
from deb_mock.checks.registry import CHECKS, find_checks
from deb_mock.outcome import status_of
from debcore.errors import ConfigError

ERROR = Finding("error", "bad-thing", "tiny", "here")
SKIPPED = Finding("not-run", "isolation-machine", "vm")


def test_what_did_not_run_never_passes() -> None:
    report = judge("piuparts", Found(), NotRun("no such program"), Policy(), source="tiny")
    assert (report.outcome, report.fatal, report.reason) == ("not-run", False, "no such program")
    strict = judge(
        "piuparts", Found(), NotRun("no such program"), parse_fail_on("not-run", ["piuparts"]), source="tiny"
    )
    assert (strict.outcome, strict.fatal) == ("not-run", True)
    assert [(f.tag, f.action) for f in strict.findings] == [("not-run", "fatal")]
    with pytest.raises(GateFailed, match="no such program"):
        check_gate([strict])


def test_grave_findings_come_first_and_are_counted() -> None:
    found = Found((SKIPPED, Finding("info", "i", "x"), ERROR, ERROR), "tool 1")
    report = judge("autopkgtest", found, None, Policy(), source="tiny")
    assert [finding.level for finding in report.findings] == ["error", "error", "info", "not-run"]
    assert report.counts == {"error": 2, "info": 1, "not-run": 1}
    assert report.outcome == "failed"
    assert describe(report) == "autopkgtest: failed (2 error, 1 info, 1 not-run)"


def test_findings_are_bounded_and_counts_are_not() -> None:
    report = judge("lintian", Found((ERROR,) * (MAX_FINDINGS + 5)), None, Policy(), source="tiny")
    assert (len(report.findings), report.counts["error"]) == (MAX_FINDINGS, MAX_FINDINGS + 5)


def test_a_gate_that_closes_has_a_class_of_its_own() -> None:
    reports = [judge(name, Found((ERROR,)), None, Policy(), source="tiny") for name in ("lintian", "install")]
    with pytest.raises(GateFailed) as error:
        check_gate(reports)
    report = error.value.report
    assert (report.kind, report.stage) == ("lintian gate", "check-lintian")
    assert report.message == "error: tiny: bad-thing here; also install"
    assert status_of(error.value).exit_status == 4


def test_warnings_open_the_gate() -> None:
    check_gate([judge("lintian", Found((Finding("warning", "w", "x"),)), None, Policy(), source="tiny")])


def test_checks_are_found_by_name_in_their_order() -> None:
    assert [check.name for check in find_checks(["piuparts", "lintian"])] == ["lintian", "piuparts"]
    assert find_checks([]) == CHECKS
    with pytest.raises(ConfigError, match="no check"):
        find_checks(["lintain"])
