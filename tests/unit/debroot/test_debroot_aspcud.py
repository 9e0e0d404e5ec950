"""Build dependencies as a package, for a solver that knows packages only."""

from __future__ import annotations

from debroot.aspcud import NAME, make_command, make_control
from debroot.debfile import parse_fields

SOURCE = """Source: build-dependencies
Build-Depends: debhelper-compat (= 13), python3:native | python3-all:native
Build-Conflicts: nothing-good (<< 2)

Package: build-dependencies
"""


def test_the_package_depends_on_what_the_source_builds_with() -> None:
    fields = parse_fields(make_control(SOURCE, arch="amd64"))
    assert fields["depends"] == "build-essential, debhelper-compat (= 13), python3 | python3-all"
    assert (fields["conflicts"], fields["architecture"]) == ("nothing-good (<< 2)", "amd64")


def test_a_source_without_build_dependencies_still_gets_build_essential() -> None:
    fields = parse_fields(make_control("Source: a\n", arch="arm64"))
    assert fields["depends"] == "build-essential"
    assert "conflicts" not in fields


def test_the_criteria_are_one_word_of_the_command() -> None:
    command = make_command("/tmp/conf/control", "-removed,-new")
    assert "APT::Solver::aspcud::Preferences=-removed,-new" in command
    assert "APT::Solver::Strict-Pinning=false" in command
    assert NAME not in " ".join(command[3:])
