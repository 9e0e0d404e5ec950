"""A waiver accepts findings of one lint, for a reason, until a day."""

from __future__ import annotations

import json
from datetime import date

import pytest

from deb_bootc_compose.lints.check import Waiver, judge
from deb_bootc_compose.lints.model import Finding
from debcore.errors import ConfigError

TODAY = date(2026, 6, 1)
CLIENT = Finding("bootc-client", "fatal", "there is no /usr/bin/bootc")
BOOT = Finding("nonempty-boot", "warning", "/boot/vmlinuz will be hidden")


def waiver(lint: str = "bootc-client", until: date = date(2026, 6, 1), path: str = "") -> Waiver:
    return Waiver(lint=lint, reason="updates by OSTree only", until=until, path=path)


def test_a_waiver_holds_up_to_its_last_day() -> None:
    assert judge([CLIENT], [waiver()], today=TODAY).ok
    report = judge([CLIENT], [waiver(until=date(2026, 5, 31))], today=TODAY)
    assert report.failed == (CLIENT,)
    assert report.expired == (waiver(until=date(2026, 5, 31)),)
    assert report.unused == ()


def test_warnings_fail_only_where_strict() -> None:
    assert judge([BOOT], [], today=TODAY).failed == (BOOT,)
    assert judge([BOOT], [], today=TODAY, strict=False).ok


def test_a_waiver_may_name_a_path() -> None:
    assert judge([BOOT], [waiver("nonempty-boot", path="/boot/vmlinuz")], today=TODAY).ok
    report = judge([BOOT], [waiver("nonempty-boot", path="/boot/initrd")], today=TODAY)
    assert not report.ok
    assert len(report.unused) == 1


def test_the_report_says_why_in_json() -> None:
    data = json.loads(judge([CLIENT, BOOT], [waiver()], today=TODAY).to_json())
    assert [f["waived"] for f in data["findings"]] == ["updates by OSTree only", None]
    assert data["ok"] is False
    assert len(data["lints"]) >= 14


@pytest.mark.parametrize(("lint", "reason"), [("no-such-lint", "x"), ("utf8", " ")])
def test_a_waiver_needs_a_lint_and_a_reason(lint: str, reason: str) -> None:
    with pytest.raises(ConfigError):
        Waiver(lint=lint, reason=reason, until=TODAY)
