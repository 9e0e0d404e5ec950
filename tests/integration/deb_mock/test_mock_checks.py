"""The quality gate on real packages that pass and on made ones that each fail in their own way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debcore.job import CheckReport, Checks, Input, Job, JobDirectory, Result, Target, read_events

from .conftest import PRESET, Built, Tool

pytestmark = pytest.mark.root

TESTS = """\
Test-Command: test -f /usr/share/tiny/data
Features: test-name=passes

Test-Command: exit 3
Features: test-name=fails

Test-Command: exit 3
Features: test-name=shaky
Restrictions: flaky

Test-Command: test "$(id -u)" = 0 && rm -r /usr/share/doc
Features: test-name=breaks
Restrictions: breaks-testbed, needs-root

Test-Command: test -d /usr/share/doc && test "$(id -u)" != 0
Features: test-name=after-breaking

Test-Command: true
Features: test-name=machine
Restrictions: isolation-machine

Test-Command: true
Features: test-name=online
Restrictions: needs-internet
"""
#: Leaves a file behind, compiles without any flag, has no copyright file.
BUILD = (
    "echo 'int main(void) { return 0; }' > a.c; gcc -c a.c; mkdir -p debian/tmp/DEBIAN; "
    "printf '#!/bin/sh\\nset -e\\nmkdir -p /var/lib/tiny\\ntouch /var/lib/tiny/left\\n' > debian/tmp/DEBIAN/postinst; "
    "chmod 755 debian/tmp/DEBIAN/postinst"
)
#: cowsay, with two of its files moved to new packages that say nothing about it; one cannot be upgraded alone.
MOVED = """#!/usr/bin/make -f
clean build build-arch build-indep binary-arch:
binary binary-indep:
\tfor p in cowsay cowsay-data:default cowsay-extra:tux; do \\
\t  name=$${p%:*}; mkdir -p debian/$$name/DEBIAN debian/$$name/usr/share/cowsay/cows; \\
\t  echo it > debian/$$name/usr/share/cowsay/$$name; \\
\t  [ $$name = $$p ] || echo moo > debian/$$name/usr/share/cowsay/cows/$${p#*:}.cow; \\
\t  dpkg-gencontrol -p$$name -Pdebian/$$name; dpkg-deb --root-owner-group --build debian/$$name ..; \\
\tdone
"""
#: cowsay alone, with a file of cowsay-off.
TAKEN = """#!/usr/bin/make -f
clean build build-arch build-indep binary-arch:
binary binary-indep:
\tmkdir -p debian/cowsay/DEBIAN debian/cowsay/usr/share/cowsay/cows
\techo moo > debian/cowsay/usr/share/cowsay/cows/bong.cow
\tdpkg-gencontrol -pcowsay -Pdebian/cowsay
\tdpkg-deb --root-owner-group --build debian/cowsay ..
"""
NEW_PACKAGE = "\nPackage: {}\nArchitecture: all\n{}Description: cows\n made by a test\n"


def make_cowsay(native: Callable[..., Path], *packages: str) -> Path:
    """cowsay 99.0 without what the archive's has, and *packages* beside it."""
    tree = native(name="cowsay")
    control, changelog = tree / "debian/control", tree / "debian/changelog"
    changelog.write_text(changelog.read_text().replace("(1.0)", "(99.0)"))
    control.write_text(control.read_text() + "".join(packages))
    (tree / "debian/rules").write_text(MOVED)
    return tree


def check(tool: Tool, built: Built, directory: Path, *words: str, status: int) -> Result:
    done = tool.run(
        "check", built.directory, "-r", PRESET, "--set", "archive.max_age=1h", "--resultdir", directory, *words
    )  # fmt: skip
    assert done.status == status, done.stderr.decode() + done.text
    found = JobDirectory(directory).find_result()
    assert found is not None
    return found


def report_of(result: Result, name: str) -> CheckReport:
    return next(report for report in result.checks if report.name == name)


def tags(report: CheckReport, action: str = "fatal") -> set[str]:
    return {finding.tag for finding in report.findings if finding.action == action}


@pytest.fixture
def bad(tool: Tool, native: Callable[..., Path], tmp_path: Path) -> Built:
    """A package with a fault for each check."""
    tree = native(build=BUILD)
    (tree / "debian/tests").mkdir()
    (tree / "debian/tests/control").write_text(TESTS)
    built = tool.build(tree, tmp_path / "result", "--build", "full")
    assert built.status == 0, built.said
    return built


def test_hostname_passes(tool: Tool, builds: Callable[..., Built], tmp_path: Path) -> None:
    result = check(tool, builds("hostname"), tmp_path / "check", "--check", "lintian,blhc,debdiff,install", status=0)
    assert [report.outcome for report in result.checks] == ["passed"] * 4
    assert all(report.tool and report.seconds for report in result.checks)
    assert {output.path for output in result.outputs} == {
        "lintian.log", "blhc.log", "debdiff.log", "install.log",
    }  # fmt: skip


def test_lintian_and_blhc_close_the_gate(tool: Tool, bad: Built, tmp_path: Path) -> None:
    result = check(tool, bad, tmp_path / "check", "--check", "lintian,blhc,upgrade,debdiff", status=4)
    assert "no-copyright-file" in tags(report_of(result, "lintian"))
    assert "cflags-missing" in tags(report_of(result, "blhc"))
    assert result.failure is not None
    assert (result.failure.kind, result.failure.stage) == ("lintian gate", "check-lintian")
    for name in ("upgrade", "debdiff"):  # the archive has no such package
        report = report_of(result, name)
        assert (report.outcome, report.reason) == ("not-run", "the archive has none of these packages")


def test_a_build_is_refused_by_its_gate_and_keeps_its_packages(
    tool: Tool, native: Callable[..., Path], tmp_path: Path
) -> None:
    built = tool.build(native(), tmp_path / "result", "--run-lintian", "--check", "blhc")
    assert built.status == 4, built.said
    result = built.result
    assert result.failure is not None
    assert result.failure.kind == "lintian gate"
    assert [(report.name, report.outcome) for report in result.checks] == [("lintian", "failed"), ("blhc", "not-run")]
    assert {"deb", "changes"} <= {output.kind for output in result.outputs}
    assert {"lintian.log", "blhc.log"} <= {output.path for output in result.outputs}
    assert "I: lintian: failed" in built.log
    assert "lintian gate" in built.said


def write_check_job(built: Built, path: Path, *names: str, **changes: Any) -> JobDirectory:
    """A job directory with the packages of *built* and a policy that minds warnings of lintian."""
    directory = JobDirectory(path)
    path.mkdir()
    (path / "policy.toml").write_text("[lintian]\nwarning = 'fatal'\n")
    given = [output for output in built.result.outputs if output.kind in ("deb", "buildinfo", "changes")]
    for output in given:
        shutil.copy(built.directory / output.path, path)
    found = (directory.output("policy.toml"), *given)
    directory.write_job(
        Job(
            kind="check", job="c1", attempt=2, target=Target(preset=PRESET, arch="amd64"),
            source=next(output.path for output in given if output.kind == "changes"),
            inputs=tuple(Input(path=o.path, sha256=o.sha256, size=o.size) for o in found),
            checks=Checks(names=names, policy="policy.toml"), **changes,
        )
    )  # fmt: skip
    return directory


def test_a_job_directory_is_checked_as_an_agent_hands_it_over(
    tool: Tool, builds: Callable[..., Built], tmp_path: Path
) -> None:
    directory = write_check_job(builds("hostname"), tmp_path / "job", "lintian", "blhc")
    done = tool.run("check", "--job", directory.path)
    assert done.status == 4, done.stderr.decode()
    result = directory.find_result()
    assert result is not None
    assert (result.job, result.attempt, result.source, result.arch) == ("c1", 2, "hostname", "amd64")
    assert [(report.name, report.outcome) for report in result.checks] == [("lintian", "failed"), ("blhc", "not-run")]
    assert {output.path for output in result.outputs} == {"lintian.log", "blhc.log"}
    events = list(read_events(directory.events_path))
    assert {(event.job, event.attempt, event.arch) for event in events} == {("c1", 2, "amd64")}
    assert events[-1].type == "build.complete"


def test_checks_that_outlast_their_job_are_ended(tool: Tool, builds: Callable[..., Built], tmp_path: Path) -> None:
    directory = write_check_job(builds("hostname"), tmp_path / "job", "install", "debdiff", "lintian", deadline_s=1)
    assert tool.run("check", "--job", directory.path).status == 7
    result = directory.find_result()
    assert result is not None
    assert result.failure is not None
    assert result.failure.kind == "time"


#: Where a testbed's apt finds the archive, as its log has it.
THE_DOOR = "http://127.0.0.1:3142/"


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    ["install,debdiff", "lintian,upgrade,piuparts,autopkgtest"],
)
def test_an_ordinary_user_checks_with_apt_only(rootless: Tool, builds: Callable[..., Built], names: str) -> None:
    """Testbeds of a user without any right have the suites, and nothing else of the network."""
    built = builds("hostname", "user")
    result = check(rootless, built, built.directory.with_name("check"), "--check", names, status=0)
    outcomes = {report.name: (report.outcome, report.reason) for report in result.checks}
    assert outcomes == {
        name: ("passed", "")
        if name != "autopkgtest"
        else ("not-run", "the source package has no tests (no field Testsuite)")
        for name in names.split(",")
    }
    logs = "".join((built.directory.with_name("check") / output.path).read_text() for output in result.outputs)
    assert THE_DOOR in logs
    assert "apt-only: refused" not in logs


def test_a_waiver_with_a_day_lets_it_pass(tool: Tool, bad: Built, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    waiver = '[[waiver]]\ncheck = "blhc"\ntag = "*flags-missing"\nreason = "a test"\nuntil = {}\n'
    policy.write_text(waiver.format("2126-01-01"))
    words = ("--check", "blhc", "--policy", str(policy))
    report = report_of(check(tool, bad, tmp_path / "check", *words, status=0), "blhc")
    assert (report.outcome, tags(report), "cflags-missing" in tags(report, "waived")) == ("passed", set(), True)
    policy.write_text(waiver.format("2026-01-01"))
    check(tool, bad, tmp_path / "check", *words, status=4)


@pytest.mark.slow
def test_autopkgtest_runs_what_it_can(tool: Tool, bad: Built, tmp_path: Path) -> None:
    result = check(tool, bad, tmp_path / "check", "--check", "autopkgtest", status=4)
    report = report_of(result, "autopkgtest")
    found = {(finding.subject, finding.tag) for finding in report.findings}
    assert found == {
        ("fails", "test-failed"),
        ("shaky", "flaky-test-failed"),
        ("machine", "isolation-machine"),
        ("online", "needs-internet"),
    }
    assert report.counts == {"error": 1, "info": 1, "not-run": 2}


@pytest.mark.slow
def test_piuparts_finds_what_stays_behind(tool: Tool, bad: Built, tmp_path: Path) -> None:
    report = report_of(check(tool, bad, tmp_path / "check", "--check", "piuparts", status=4), "piuparts")
    assert "files-left-after-purge" in tags(report)
    assert any("/var/lib/tiny/left" in finding.text for finding in report.findings)


@pytest.mark.slow
def test_cowsay_passes_piuparts_and_upgrade(tool: Tool, builds: Callable[..., Built], tmp_path: Path) -> None:
    result = check(tool, builds("cowsay"), tmp_path / "check", "--check", "piuparts,upgrade,blhc,autopkgtest", status=0)
    assert {report.name: report.outcome for report in result.checks} == {
        "piuparts": "passed", "upgrade": "passed", "blhc": "not-run", "autopkgtest": "not-run",
    }  # fmt: skip


@pytest.mark.slow
def test_a_file_that_moves_without_replaces_breaks_the_upgrade(
    tool: Tool, native: Callable[..., Path], tmp_path: Path
) -> None:
    data = NEW_PACKAGE.format("cowsay-data", "")
    extra = NEW_PACKAGE.format("cowsay-extra", "Depends: cowsay (= ${binary:Version})\n")
    built = tool.build(make_cowsay(native, data, extra), tmp_path / "result")
    assert built.status == 0, built.said
    report = report_of(check(tool, built, tmp_path / "check", "--check", "upgrade", status=4), "upgrade")
    assert {(finding.tag, finding.subject, finding.text) for finding in report.findings} == {
        ("file-conflict", "cowsay-data", "/usr/share/cowsay/cows/default.cow is also in cowsay"),
        ("file-conflict", "cowsay-extra", "/usr/share/cowsay/cows/tux.cow is also in cowsay"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("fields", ["", "Breaks: cowsay-off (<< 99)\nReplaces: cowsay-off (<< 99)\n"])
def test_a_file_of_a_package_that_is_not_made_any_more(
    tool: Tool, native: Callable[..., Path], tmp_path: Path, fields: str
) -> None:
    """The archive's cowsay makes cowsay-off, ours does not, and has taken a file of it."""
    tree = native(name="cowsay")
    changelog, control = tree / "debian/changelog", tree / "debian/control"
    changelog.write_text(changelog.read_text().replace("(1.0)", "(99.0)"))
    control.write_text(control.read_text().replace("Description:", f"{fields}Description:", 1))
    (tree / "debian/rules").write_text(TAKEN)
    built = tool.build(tree, tmp_path / "result")
    assert built.status == 0, built.said
    words = ("--check", "upgrade")
    report = report_of(check(tool, built, tmp_path / "check", *words, status=0 if fields else 4), "upgrade")
    said = (tmp_path / "check/upgrade.log").read_text()
    assert "cowsay-off 3" in said, "it was installed before"
    assert [(finding.tag, finding.subject, finding.text) for finding in report.findings] == (
        [] if fields else [("file-conflict", "cowsay", "/usr/share/cowsay/cows/bong.cow is also in cowsay-off")]
    )


@pytest.mark.slow
def test_what_does_not_install_and_what_went_away(tool: Tool, native: Callable[..., Path], tmp_path: Path) -> None:
    tree = make_cowsay(native, NEW_PACKAGE.format("cowsay-extra", "Depends: cowsay-that-is-nowhere\n"))
    rules = (tree / "debian/rules").read_text()
    script = "printf '#!/bin/sh\\nexit 3\\n' > debian/$$name/DEBIAN/postinst; chmod 755 debian/$$name/DEBIAN/postinst"
    (tree / "debian/rules").write_text(rules.replace("\t  dpkg-gencontrol", f"\t  {script}; \\\n\t  dpkg-gencontrol"))
    built = tool.build(tree, tmp_path / "result")
    assert built.status == 0, built.said
    words = ("--check", "install,debdiff", "--fail-on", "debdiff:warning")
    result = check(tool, built, tmp_path / "check", *words, status=4)
    found = {(f.tag, f.subject, f.text) for f in report_of(result, "install").findings}
    assert found == {
        ("script-failed", "cowsay", "post-installation ended with status 3"),
        ("unmet-dependency", "cowsay-extra", "cowsay-that-is-nowhere but it is not installable"),
    }
    differences = report_of(result, "debdiff").findings
    assert ("file-removed", "/usr/games/cowsay", "fatal") in {(f.tag, f.text, f.action) for f in differences}
    assert ("file-added", "/usr/share/cowsay/cowsay-extra") in {(f.tag, f.text) for f in differences}
    assert ("file-moved", "/usr/share/cowsay/cows/tux.cow from cowsay") in {(f.tag, f.text) for f in differences}
    assert {f.tag for f in differences if f.tag.endswith("-changed")} == {
        f"{field}-changed" for field in ("depends", "description", "homepage", "maintainer", "section", "suggests")
    }
    assert result.failure is not None
    assert result.failure.kind == "debdiff gate"  # it ran first
    assert "also install" in result.failure.message
