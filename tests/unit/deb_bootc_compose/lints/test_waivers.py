"""A waiver accepts findings of one lint, for a reason, until a day."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from deb_bootc_compose.cli.lint import _show
from deb_bootc_compose.compose import Options, start_compose
from deb_bootc_compose.lints.check import Waiver, judge
from deb_bootc_compose.lints.model import Finding
from deb_bootc_compose.manifest import load_manifest
from deb_bootc_compose.tasks.lint import explain
from debcore.errors import BuildFailed, ConfigError
from tests.unit.deb_bootc_compose.report.world import MANIFEST

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
    assert [f["until"] for f in data["findings"]] == ["2026-06-01", None]
    endless = json.loads(judge([CLIENT], [waiver(until=date.max)], today=TODAY).to_json())
    assert endless["findings"][0]["until"] is None
    assert data["ok"] is False
    assert len(data["lints"]) >= 14


@pytest.mark.parametrize(("lint", "reason"), [("no-such-lint", "x"), ("utf8", " ")])
def test_a_waiver_needs_a_lint_and_a_reason(lint: str, reason: str) -> None:
    with pytest.raises(ConfigError):
        Waiver(lint=lint, reason=reason, until=TODAY)


def test_who_relied_on_a_waiver_that_ended_is_told_so() -> None:
    told = explain(judge([CLIENT], [waiver(until=date(2026, 5, 31))], today=TODAY))
    assert "there is no /usr/bin/bootc" in told
    assert "the waiver of bootc-client ended on 2026-05-31 (updates by OSTree only)" in told


def test_a_compose_with_a_waiver_that_ended_does_not_begin(tmp_path: Path) -> None:
    text = MANIFEST.replace(
        "    tests:", "    lint: {waive: [{rule: kernel, reason: two of them, until: 2026-05-31}]}\n    tests:"
    )
    (tmp_path / "compose.yaml").write_text(text)
    manifest = load_manifest(tmp_path)
    line = next(n for n, one in enumerate(text.splitlines(), start=1) if "waive" in one)
    with pytest.raises(ConfigError, match="waiver of kernel ended on 2026-05-31") as caught:
        start_compose(manifest, tmp_path / "composes", Options(), now=datetime(2026, 6, 1, tzinfo=UTC))
    assert caught.value.where.endswith(f"compose.yaml:{line}")
    assert not (tmp_path / "composes").exists()
    begun = start_compose(manifest, tmp_path / "composes", Options(), now=datetime(2026, 5, 31, 23, tzinfo=UTC))
    assert begun.path.is_dir()


def test_the_verb_shows_what_is_waived_and_counts_it_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    endless = waiver("nonempty-boot", until=date.max)
    _show({"a.amd64": judge([CLIENT, BOOT], [waiver(), endless], today=TODAY).results}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "a.amd64: clean, 2 waived",
        "  waived   bootc-client: updates by OSTree only, until 2026-06-01",
        "  waived   nonempty-boot: updates by OSTree only",
    ]
    with pytest.raises(BuildFailed, match=r"^1 finding$"):
        _show({"a.amd64": judge([BOOT, CLIENT], [waiver()], today=TODAY).results}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "a.amd64: 1 finding, 1 waived",
        "  warning  nonempty-boot: /boot/vmlinuz will be hidden",
        "  waived   bootc-client: updates by OSTree only, until 2026-06-01",
    ]
