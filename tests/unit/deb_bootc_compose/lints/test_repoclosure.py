"""Which relations of packages hold in an image, and what is said of those that do not."""

from __future__ import annotations

import pytest

from deb_bootc_compose.lints.repoclosure import Closure
from debcore.errors import Failure


def package(line: str, *fields: str, state: str = "installed") -> str:
    """*line*: name version, architecture (amd64), Multi-Arch (no)."""
    name, version, *more = line.split()
    arch, multi = (*more, *("amd64", "no")[len(more) :])
    words = [f"Package: {name}", f"Status: install ok {state}", f"Version: {version}", f"Architecture: {arch}"]
    return "\n".join([*words, f"Multi-Arch: {multi}", *fields]) + "\n\n"


def find(*packages: str) -> list[str]:
    return list(Closure(package("dpkg 1.22") + "".join(packages)).find())


@pytest.mark.parametrize(
    ("relation", "other"),
    [
        ("b", "b 1"),
        ("b (>= 1.0~rc1)", "b 1.0"),
        ("b (= 1:2-3)", "b 1:2-3"),
        ("b (<< 2), b (>> 0)", "b 1"),
        ("x | b (>= 3) | b", "b 1"),
        ("b:any", "b 1 amd64 allowed"),
        ("b:any", "b 1"),
        ("b", "b 1 arm64 foreign"),
        ("b:arm64", "b 1 arm64 same"),
        ("b", "b 1 all"),
    ],
)
def test_what_is_satisfied(relation: str, other: str) -> None:
    assert find(package("a 1", f"Depends: {relation}"), package(other)) == []
    assert find(package("a 1", f"Pre-Depends: {relation}"), package(other)) == []


@pytest.mark.parametrize(
    ("relation", "other", "near"),
    [
        ("b (>= 2)", "b 1", "; nearest: b 1 (amd64)"),
        ("b (>= 1.0)", "b 1.0~rc1", "; nearest: b 1.0~rc1 (amd64)"),
        ("b", "b 1 arm64 same", "; nearest: b 1 (arm64)"),
        ("b:arm64", "b 1", "; nearest: b 1 (amd64)"),
        ("x | y", "b 1", ""),
    ],
)
def test_what_is_not(relation: str, other: str, near: str) -> None:
    words = f"a depends on {relation}, which nothing in the image provides{near}"
    assert find(package("a 1", f"Depends: {relation}"), package(other)) == [words]


def test_virtual_names_have_the_version_that_is_given_to_them() -> None:
    given = package("b 9", "Provides: mta, lib-abi (= 4)")
    assert find(package("a 1", "Depends: mta, lib-abi, lib-abi (>= 4)"), given) == []
    (said,) = find(package("a 1", "Depends: mta (>= 1)"), given)
    assert said.endswith("; nearest: mta without a version, provided by b 9 (amd64)")
    (said,) = find(package("a 1", "Depends: lib-abi (>= 5)"), given)
    assert said.endswith("; nearest: lib-abi 4, provided by b 9 (amd64)")


def test_it_says_for_whose_sake_and_of_which_source() -> None:
    lower = package("libssl3 3.0", "Source: openssl (3.0)")
    (said,) = find(
        package("suite 1", "Depends: tool"), package("tool 1", "Depends: curl"),
        package("curl 8", "Depends: libssl3 (>= 3.4)"), lower,
    )  # fmt: skip
    assert said == (
        "curl depends on libssl3 (>= 3.4), which nothing in the image provides; nearest: libssl3 3.0 of openssl "
        "(amd64); curl is there for tool ← suite"
    )


def test_conflicts_and_breaks() -> None:
    assert find(package("a 1", "Conflicts: b"), package("b 2")) == ["a conflicts with b, and b 2 is in the image"]
    assert find(package("a 1", "Breaks: b (<< 3)"), package("b 2")) == ["a breaks b (<< 3), and b 2 is in the image"]
    assert find(package("a 1", "Breaks: b (<< 2)"), package("b 2")) == []
    assert find(package("a 1", "Conflicts: b (<< 3)"), package("c 1", "Provides: b")) == []
    (said,) = find(package("a 1", "Provides: mta", "Conflicts: mta"), package("c 1", "Provides: mta"))
    assert said == "a conflicts with mta, and c 1, which provides mta, is in the image"
    assert find(package("a 1 amd64 same", "Breaks: a (<< 2)"), package("a 1 arm64 same")) == []
    assert find(package("a 1", "Conflicts: b:arm64"), package("b 2")) == []


def test_only_what_is_there_counts() -> None:
    gone = package("b 1", "Depends: nothing", state="config-files")
    assert find(gone) == []
    assert len(find(package("a 1", "Depends: b"), gone)) == 1
    assert find(package("a 1", "Depends: b"), package("b 1", state="triggers-pending")) == []


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(Failure, match=r"a 1 has a relation that cannot be read: 'b \(~ 2\)'"):
        find(package("a 1", "Depends: b (~ 2)"))
    with pytest.raises(Failure, match="no Debian version"):
        find(package("a 1", "Depends: b (>= x)"), package("b 1"))
