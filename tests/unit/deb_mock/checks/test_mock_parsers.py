"""What the programs print, as findings. The texts are cut from real runs."""

from __future__ import annotations

import pytest

from deb_mock.checks.apt import parse_problems
from deb_mock.checks.autopkgtest import conclude, parse_summary
from deb_mock.checks.blhc import parse_flags
from deb_mock.checks.debdiff import parse_diff
from deb_mock.checks.lintian import parse_tags
from deb_mock.checks.model import NotRun
from deb_mock.checks.piuparts import parse_log


def test_lintian_tags() -> None:
    text = (
        "N: 1 hint overridden\n"
        "E: tiny: no-copyright-file\n"
        "W: tiny source: no-debian-changes\n"
        "O: at: setuid-binary 4755 root/root [usr/bin/x]\n"
        "I: tiny changes: distribution-and-changes-mismatch unstable trixie\n"
        "P: at source: silent-on-rules-requiring-root [debian/control]\n"
    )
    found = [(f.level, f.tag, f.subject, f.text) for f in parse_tags(text)]
    assert found == [
        ("error", "no-copyright-file", "tiny", ""),
        ("warning", "no-debian-changes", "tiny", ""),
        ("override", "setuid-binary", "at", "4755 root/root [usr/bin/x]"),
        ("info", "distribution-and-changes-mismatch", "tiny", "unstable trixie"),
        ("pedantic", "silent-on-rules-requiring-root", "at", "[debian/control]"),
    ]


def test_blhc_names_each_set_of_flags_once() -> None:
    text = (
        "CFLAGS missing (-fstack-protector-strong): gcc -c a.c\n"
        "CFLAGS missing (-fstack-protector-strong): gcc -c b.c\n"
        "LDFLAGS missing (-Wl,-z,relro): gcc -o a a.o\n"
        "NONVERBOSE BUILD:   CC  a.o\n"
    )
    found = [(f.level, f.tag, f.text) for f in parse_flags(text, "at")]
    assert found == [
        ("error", "cflags-missing", "-fstack-protector-strong: gcc -c a.c (and 1 more)"),
        ("error", "ldflags-missing", "-Wl,-z,relro: gcc -o a a.o"),
        ("warning", "nonverbose-build", "CC  a.o"),
    ]


def test_debdiff_files_and_fields() -> None:
    text = """Warning: these package names were in the second list but not in the first:
--------------------------------------------------------------------------
cowsay-extra

Files only in first set of .debs, found in package cowsay
---------------------------------------------------------
-rw-r--r--  root/root   /usr/share/doc/cowsay/NEWS.Debian.gz

Files in second set of .debs but not in first
---------------------------------------------
-rwxr-xr-x  root/root   /usr/bin/moo

New files in second set of .debs, found in package cowsay-extra
---------------------------------------------------------------
-rwxr-xr-x  root/root   /usr/bin/extra
-rwxr-xr-x  root/root   DEBIAN/postinst

Files moved from package cowsay to package cowsay-extra
-------------------------------------------------------
-rw-r--r--  root/root   /usr/share/cowsay/cows/tux.cow

Files moved or copied from at least TWO packages or to at least TWO packages
----------------------------------------------------------------------------
-rw-r--r--  root/root   DEBIAN/control

Control files of package cowsay: lines which differ (wdiff format)
------------------------------------------------------------------
Depends: perl:any, {+libx11-6+}
Description: [-configurable talking cow-]
[- Cowsay: it will turn text into cows.-] {+tiny+}
[-Homepage: https://example.org/-]
Installed-Size: [-92-] {+88+}
"""
    found = [(f.level, f.tag, f.subject, f.text) for f in parse_diff(text, "cowsay")]
    assert found == [
        ("info", "package-added", "cowsay-extra", ""),
        ("warning", "file-removed", "cowsay", "/usr/share/doc/cowsay/NEWS.Debian.gz"),
        ("info", "file-added", "cowsay", "/usr/bin/moo"),
        ("info", "file-added", "cowsay-extra", "/usr/bin/extra"),
        ("info", "file-moved", "cowsay-extra", "/usr/share/cowsay/cows/tux.cow from cowsay"),
        ("info", "depends-changed", "cowsay", "perl:any, {+libx11-6+}"),
        ("info", "description-changed", "cowsay", "[-configurable talking cow-]"),
        ("info", "homepage-changed", "cowsay", "[-https://example.org/-]"),
    ]


def test_apt_problems() -> None:
    text = (
        " trying to overwrite '/usr/bin/x', which is also in package tiny 1.0\n"
        " installed tiny package post-installation script subprocess returned error exit status 3\n"
        " tiny : Depends: nowhere but it is not installable\n"
        " tiny-extra depends on tiny (= 2); however:\n  Package tiny is not installed.\n"
    )
    found = [(f.tag, f.subject, f.text) for f in parse_problems(text, "tiny")]
    assert found == [
        ("file-conflict", "tiny", "/usr/bin/x is also in tiny"),
        ("script-failed", "tiny", "post-installation ended with status 3"),
        ("unmet-dependency", "tiny", "nowhere but it is not installable"),
        ("unmet-dependency", "tiny-extra", "tiny (= 2)"),
    ]
    assert [f.text for f in parse_problems("E: Unable to fetch\n", "tiny")] == ["Unable to fetch"]
    assert [f.tag for f in parse_problems("", "tiny")] == ["apt-failed"]


def test_piuparts_errors_have_their_first_lines() -> None:
    text = (
        "0m5.1s DEBUG: x\n"
        "0m7.1s ERROR: FAIL: Package purging left files on system:\n"
        "  /var/lib/tiny\t not owned\n"
        "  /var/lib/tiny/left\t not owned\n"
        "\n"
        "0m7.2s ERROR: FAIL: Installation and purging test.\n"
        "0m8.0s WARNING: Broken symlinks:\n"
    )
    found = list(parse_log(text, "tiny"))
    assert (found[0].level, found[0].tag) == ("error", "files-left-after-purge")
    assert "/var/lib/tiny/left" in found[0].text
    assert [(f.level, f.tag) for f in found[1:]] == [("error", "verdict"), ("warning", "other")]


SUMMARY = """ok                   PASS
smoke                PASS (superficial)
broken               FAIL non-zero exit status 1
shaky                FLAKY non-zero exit status 1
vm                   SKIP Test restriction "isolation-machine" requires testbed capability "isolation-machine"
net                  SKIP Test requires internet access
"""


def test_autopkgtest_summary() -> None:
    found = [(f.level, f.tag, f.subject) for f in parse_summary(SUMMARY)]
    assert found == [
        ("info", "superficial-test", "smoke"),
        ("error", "test-failed", "broken"),
        ("info", "flaky-test-failed", "shaky"),
        ("not-run", "isolation-machine", "vm"),
        ("not-run", "skipped", "net"),
    ]


@pytest.mark.parametrize(
    ("status", "summary", "levels"),
    [
        (0, "a PASS\n", []),
        (2, 'a PASS\nb SKIP Test restriction "needs-reboot"\n', ["not-run"]),
        (2, "a FLAKY non-zero exit status 1\n", ["info"]),
        (4, "a FAIL timed out\n", ["error"]),
        (6, "a FAIL x\nb SKIP y\nb SKIP y\n", ["error", "not-run"]),
        (8, "a PASS (superficial)\n", ["info"]),
        (12, "erroneous package: x\n", ["error"]),
        (14, "b SKIP y\nerroneous package: x\n", ["not-run", "error"]),
    ],
)
def test_autopkgtest_statuses(status: int, summary: str, levels: list[str]) -> None:
    assert [finding.level for finding in conclude(status, summary, "tiny")] == levels


@pytest.mark.parametrize(
    ("status", "summary", "reason"),
    [
        (8, "* SKIP no tests in this package\n", "no tests in this package"),
        (2, 'vm SKIP Test restriction "isolation-machine" requires …\n', "isolation-machine"),
        (16, "testbed failure: x\n", "the testbed failed"),
        (20, "quitting: unexpected error\n", "unexpectedly"),
        (-9, "", "signal 9"),
    ],
)
def test_what_autopkgtest_could_not_try_is_no_pass(status: int, summary: str, reason: str) -> None:
    with pytest.raises(NotRun, match=reason):
        conclude(status, summary, "tiny")
