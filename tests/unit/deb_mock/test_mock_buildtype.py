"""Which packages are built and which dependencies count: sbuild's truth table."""

from __future__ import annotations

import pytest

from deb_mock.buildtype import TYPES, Parts, choose_parts, reduce_for_parts
from debcore.errors import ConfigError

FIELDS = {
    "Build-Depends": "debhelper-compat (= 13), libfoo-dev [amd64 arm64], libbar-dev [!amd64], check <!nocheck>, "
    "doc:any <!nodoc !cross> <pkg.x>, a | b [arm64] | c",
    "Build-Depends-Arch": "arch-only",
    "Build-Depends-Indep": "indep-only (>= 2)",
    "Build-Conflicts-Indep": "bad",
}


@pytest.mark.parametrize(
    ("name", "flag", "word"),
    [
        ("full", "-F", "full"),
        ("binary", "-b", "binary"),
        ("any", "-B", "any"),
        ("all", "-A", "all"),
        ("source", "-S", "source"),
    ],
)
def test_flags_of_dpkg_buildpackage(name: str, flag: str, word: str) -> None:
    assert (TYPES[name].flag, TYPES[name].word) == (flag, word)


def test_flags_of_mixed_builds() -> None:
    assert Parts(any=True, all=False, source=True).flag == "-G"
    assert Parts(any=False, all=True, source=True).flag == "-g"


@pytest.mark.parametrize(
    ("type_", "architectures", "fine"),
    [
        ("binary", "all", True),
        ("binary", "any", True),
        ("binary", "arm64", False),
        ("any", "all", False),
        ("all", "any", False),
        ("all", "any all", True),
        ("source", "arm64", True),
    ],
)
def test_nothing_to_build_is_said_before_a_root_is_made(type_: str, architectures: str, fine: bool) -> None:
    if fine:
        assert choose_parts(type_, architectures=architectures.split(), arch="amd64", name="x") == TYPES[type_]
    else:
        with pytest.raises(ConfigError, match="nothing to build"):
            choose_parts(type_, architectures=architectures.split(), arch="amd64", name="x")


@pytest.mark.parametrize(
    ("type_", "profiles", "present", "absent"),
    [
        ("binary", (), ["arch-only", "indep-only (>= 2)", "check", "doc:any"], ["libbar"]),
        ("any", (), ["arch-only"], ["indep-only"]),
        ("all", (), ["indep-only"], ["arch-only"]),
        ("binary", ("nocheck",), ["doc:any"], ["check"]),
        ("binary", ("nodoc",), [], ["doc"]),
        ("binary", ("nodoc", "pkg.x"), ["doc:any"], []),
    ],
)
def test_build_dependencies_follow_type_and_profiles(
    type_: str, profiles: tuple[str, ...], present: list[str], absent: list[str]
) -> None:
    depends, conflicts = reduce_for_parts(FIELDS, TYPES[type_], arch="amd64", profiles=profiles)
    words = [word.strip() for word in depends.split(",")]
    assert "debhelper-compat (= 13)" in words
    assert "libfoo-dev" in words
    assert "a | c" in words
    assert all(any(word.startswith(p) for word in words) for p in present)
    assert not any(word.startswith(a) for word in words for a in absent)
    assert conflicts == ("" if type_ == "any" else "bad")
