"""What bootc prints becomes findings, and none of its failures is lost."""

from __future__ import annotations

from deb_bootc_compose.lints.model import Finding
from deb_bootc_compose.lints.own import read_answer

#: As its `lint` prints it.
SAID = """\
Failed lint: etc-usretc: Found /usr/etc - this is a bootc implementation detail
Lint warning: var-tmpfiles: Found content in /var missing systemd tmpfiles.d entries:
  d /var/lib/a 0755 root root - -
  d /var/lib/b 0755 root root - -

Lint warning: tomorrow: one that only a later bootc has
Checks passed: 11
Warnings: 2
"""


def test_its_lints_have_our_names_and_later_ones_are_the_clients() -> None:
    assert read_answer(1, SAID, "error: Linting: Checks failed: 1") == [
        Finding("etc-usretc", "fatal", "the image's bootc: Found /usr/etc - this is a bootc implementation detail"),
        Finding(
            "var-tmpfiles", "warning",
            "the image's bootc: Found content in /var missing systemd tmpfiles.d entries: "
            "d /var/lib/a 0755 root root - - d /var/lib/b 0755 root root - -",
        ),
        Finding("bootc-client", "warning", "the image's bootc: tomorrow: one that only a later bootc has"),
    ]  # fmt: skip


def test_nothing_found_is_nothing() -> None:
    assert read_answer(0, "Checks passed: 13\nChecks skipped: 1\n", "") == []


def test_a_failure_that_names_no_lint_is_one() -> None:
    """Warnings beside it do not hide it."""
    warned = "Lint warning: var-log: Found non-empty logfile\n"
    said = "error: Linting: Unexpected runtime error running lint kernel: Multiple subdirectories found\x1b[2J"
    (_, failed) = read_answer(1, warned, said)
    assert (failed.lint, failed.level) == ("bootc-client", "fatal")
    assert failed.message.startswith("bootc container lint failed with status 1: error: Linting: Unexpected")
    assert failed.message.isprintable()
    (silent,) = read_answer(101, "", "")
    assert silent.message.endswith("it said nothing")
