"""The policy: which finding fails, who may say so, and until when it is waived."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from deb_mock.checks import policy
from deb_mock.checks.model import Finding
from deb_mock.checks.policy import Policy, load_policy, parse_fail_on, parse_policy
from debcore.errors import ConfigError

CHECKS = ("lintian", "piuparts")
WARNING = Finding("warning", "no-manual-page", "cowsay")
WAIVER = """
[[waiver]]
check = "lintian"
tag = "no-manual-*"
subject = "cowsay"
reason = "upstream has none"
until = 2027-01-31
"""


def parse(text: str, *, project: bool = False) -> Policy:
    return parse_policy(text, name="p.toml", checks=CHECKS, project=project)


@pytest.mark.parametrize(
    ("level", "action"), [("error", "fatal"), ("warning", "warn"), ("info", "ignore"), ("not-run", "warn")]
)
def test_without_a_file_errors_fail(level: str, action: str) -> None:
    assert Policy().action("lintian", level) == action  # type: ignore[arg-type]


def test_one_check_wins_over_all_checks() -> None:
    found = parse('[all]\nwarning = "fatal"\n[lintian]\nwarning = "ignore"\n')
    assert (found.action("lintian", "warning"), found.action("piuparts", "warning")) == ("ignore", "fatal")


def test_a_later_file_wins() -> None:
    found = parse('[lintian]\nwarning = "ignore"\n').under(parse('[all]\nwarning = "fatal"\n'))
    assert found.action("lintian", "warning") == "fatal"


def test_a_project_makes_it_stricter_only() -> None:
    own = parse('[all]\nwarning = "fatal"\n[piuparts]\ninfo = "warn"\n')
    found = own.under(parse('[all]\nwarning = "ignore"\ninfo = "fatal"\n', project=True), stricter_only=True)
    assert found.action("lintian", "warning") == "fatal"
    assert (found.action("lintian", "info"), found.action("piuparts", "info")) == ("fatal", "fatal")


def test_a_project_waives_nothing() -> None:
    with pytest.raises(ConfigError, match="may not be set by a project"):
        parse(WAIVER, project=True)


@pytest.mark.parametrize(
    ("day", "subject", "judged"),
    [(date(2027, 1, 31), "cowsay", "waived"), (date(2027, 2, 1), "cowsay", "warn"), (date(2027, 1, 1), "x", "warn")],
)
def test_a_waiver_holds_for_what_it_names_until_its_day(day: date, subject: str, judged: str) -> None:
    finding = Finding("warning", "no-manual-page", subject)
    assert parse(WAIVER).judge("lintian", finding, source="cowsay", today=day) == judged


def test_what_is_ignored_needs_no_waiver() -> None:
    found = parse('[lintian]\nwarning = "ignore"\n' + WAIVER)
    assert found.judge("lintian", WARNING, source="cowsay", today=date(2027, 1, 1)) == "ignore"
    assert found.expired(date(2027, 2, 1)) == found.waivers


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[lintain]\nerror = 'fatal'", "did you mean lintian"),
        ("[lintian]\nwarnings = 'fatal'", "did you mean warning"),
        ("[lintian]\nwarning = 'error'", "known are fatal"),
        ("lintian = 'fatal'", "write"),
        ("[[waiver]]\ncheck = 'lintian'\ntag = 'x'\nuntil = 2027-01-01", "a waiver has"),
        ("[[waiver]]\ncheck = 'lintian'\ntag = 'x'\nreason = ''\nuntil = 2027-01-01", "a waiver has"),
        ("[[waiver]]\ncheck = 'lintian'\ntag = 'x'\nreason = 'r'\nuntil = 'never'", "a waiver has"),
        ("[lintian", "toml"),
    ],
)
def test_mistakes_are_named_with_a_hint(text: str, where: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text)
    assert where in error.value.hint
    assert "p.toml" in str(error.value)


def test_fail_on_takes_the_graver_levels_too() -> None:
    found = parse_fail_on("lintian:warning,not-run", CHECKS)
    assert [found.action("lintian", level) for level in ("error", "warning", "info", "not-run")] == [
        "fatal", "fatal", "ignore", "fatal",
    ]  # fmt: skip
    assert found.action("piuparts", "warning") == "warn"
    with pytest.raises(ConfigError, match="is no level"):
        parse_fail_on("lintian", CHECKS)


def test_files_are_laid_over_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "SYSTEM_FILE", tmp_path / "system.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "home/deb-mock").mkdir(parents=True)
    (tmp_path / "tree/.git").mkdir(parents=True)
    (tmp_path / "system.toml").write_text('[lintian]\nwarning = "fatal"\ninfo = "warn"\n')
    (tmp_path / "home/deb-mock/policy.toml").write_text('[lintian]\nwarning = "ignore"\n')
    (tmp_path / "tree/.deb-mock-policy.toml").write_text('[lintian]\npedantic = "warn"\ninfo = "ignore"\n')
    (tmp_path / "given.toml").write_text('[piuparts]\n"not-run" = "fatal"\n')
    found = load_policy(CHECKS, project=tmp_path / "tree", file=tmp_path / "given.toml", fail_on=["piuparts:info"])
    said = [found.action("lintian", level) for level in ("warning", "info", "pedantic")]
    assert said == ["ignore", "warn", "warn"]
    assert (found.action("piuparts", "not-run"), found.action("piuparts", "info")) == ("fatal", "fatal")
    with pytest.raises(ConfigError, match="no such file"):
        load_policy(CHECKS, file=tmp_path / "missing.toml")
