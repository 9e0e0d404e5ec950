"""The log's layout, which programs that read sbuild's logs rely on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_mock.buildlog import BuildLog, duration, first_line, summary
from deb_mock.cli import VERBS, group
from deb_mock.outcome import describe, translate_install
from debcore.errors import CommandFailed, DepsUnmet, HostFailed
from debcore.job import FailureReport, Result, Status


def test_sections_are_boxes_of_eighty_columns(tmp_path: Path) -> None:
    log = BuildLog(tmp_path / "log")
    log.section("hello 1.0-1 (amd64)")
    log.subsection("Build")
    log.close()
    lines = (tmp_path / "log").read_text().splitlines()
    boxes = [line for line in lines if line]
    assert {len(line) for line in boxes} == {80}
    assert boxes[0] == "+" + "=" * 78 + "+"
    assert re.fullmatch(r"\| Build {10,}\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000 \|", boxes[4])
    assert log.size == (tmp_path / "log").stat().st_size


def test_small_things_of_the_dialect() -> None:
    assert duration(3723.9) == "01:02:03"
    assert re.match(r"sbuild \(deb-mock\) 1 \(\d\d \w+ \d{4}\) on h", first_line("1", "h"))
    assert list(summary({"Status": "x", "Job": "y"})) == ["Job", "Status"]


def test_a_person_sees_class_error_place_and_hint() -> None:
    report = FailureReport(
        stage="build", kind="compile", message="a.c:1: error: \x1b[2J", excerpt=("cc a.c",), log_offset=12, hint="h"
    )
    text = "\n".join(describe(Result(job="1", status=Status.FAILED, failure=report), log="build.log"))
    assert "the package failed to build in stage build (compile)" in text
    assert "build.log, from byte 12" in text
    assert "[h]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("dpkg: error processing package x (--configure):\n installed x returned error exit status 1", DepsUnmet),
        ("dpkg: error: unable to write: No space left on device", HostFailed),
        ("strange", CommandFailed),
    ],
)
def test_a_dependency_that_cannot_be_installed(output: str, expected: type[Exception]) -> None:
    assert isinstance(translate_install(CommandFailed(["apt-get"], 100, output)), expected)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_that_teaches(verb: str) -> None:
    done = CliRunner().invoke(group, [verb, "--help"])
    assert done.exit_code == 0, done.output
    assert len(done.output) > 150
