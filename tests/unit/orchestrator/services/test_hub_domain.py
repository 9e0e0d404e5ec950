"""Pure parts: states in wanna-build's words, orders of sources, architectures."""

from __future__ import annotations

import pytest

from deb_orchestrator.domain.builds import Facts, find_state, find_whole
from deb_orchestrator.domain.jobs import Outcome, State
from deb_orchestrator.domain.source import Source, find_order, parse_names, parse_source
from deb_orchestrator.services.requests import find_modes
from debcore.errors import Failure
from debcore.hub.model import BuildState as B
from debcore.relations import is_for


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (Facts(), B.DEP_WAIT),
        (Facts(needs=((3, "liba"),)), B.DEP_WAIT),
        (Facts(job=State.QUEUED), B.NEEDS_BUILD),
        (Facts(job=State.RUNNING), B.BUILDING),
        (Facts(job=State.BLOCKED), B.NEEDS_BUILD),  # the solver has yet to look
        (Facts(job=State.BLOCKED, outcome=Outcome.DEPS, reason="no libx"), B.BD_UNINSTALLABLE),
        (Facts(job=State.SUCCEEDED), B.BUILT),
        (Facts(job=State.SUCCEEDED, imported=True), B.UPLOADED),
        (Facts(job=State.SUCCEEDED, imported=True, live=True), B.INSTALLED),
        (Facts(job=State.SUCCEEDED, refused="a lie"), B.FAILED),
        (Facts(job=State.FAILED, outcome=Outcome.FAILED), B.FAILED),
        (Facts(job=State.FAILED, outcome=Outcome.INVALID), B.FAILED),
        (Facts(job=State.FAILED, outcome=Outcome.SUSPECT), B.BUILD_ATTEMPTED),
        (Facts(job=State.FAILED, outcome=Outcome.LIMIT), B.BUILD_ATTEMPTED),
        (Facts(job=State.CANCELLED), B.CANCELLED),
        (Facts(job=State.RUNNING, cancelled=True), B.CANCELLED),
    ],
)
def test_the_state_follows_from_facts(facts: Facts, state: B) -> None:
    assert find_state(facts)[0] is state


def test_a_build_is_where_its_slowest_architecture_is() -> None:
    assert find_whole([B.INSTALLED, B.BUILDING]) is B.BUILDING
    assert find_whole([B.INSTALLED, B.FAILED, B.BUILDING]) is B.FAILED
    assert find_whole([]) is B.INSTALLED


def test_names_of_relations() -> None:
    text = "debhelper-compat (= 13), liba-dev:any (>= 1~) [amd64] <!nocheck> | libb-dev, ${misc}, liba-dev"
    assert parse_names(text) == ("debhelper-compat", "liba-dev", "libb-dev")


def test_a_dsc_without_package_list_has_its_binary_field() -> None:
    one = parse_source({"Source": "a", "Version": "1", "Binary": "a, b", "Architecture": "all"})
    assert ([binary.name for binary in one.binaries], one.has_any, one.has_all) == (["a", "b"], False, True)
    with pytest.raises(Failure, match="lacks the field Version"):
        parse_source({"Source": "a"})


def make(name: str, *arches: str, makes: str = "", needs: str = "") -> Source:
    fields = {"Source": name, "Version": "1", "Build-Depends": needs}
    fields["Package-List"] = "\n".join(f" {makes or name} deb x optional arch={arch}" for arch in arches or ("any",))
    return parse_source(fields)


def test_the_order_of_sources() -> None:
    assert find_order([make("cc", needs="bb, aa"), make("bb", needs="aa"), make("aa")]) == {0: (1, 2), 1: (2,), 2: ()}
    assert find_order([make("self", needs="self")]) == {0: ()}
    with pytest.raises(Failure, match="both make xx"):
        find_order([make("aa", makes="xx"), make("bb", makes="xx")])


@pytest.mark.parametrize(
    ("arches", "modes"),
    [
        (("any",), {"amd64": "any", "arm64": "any"}),
        (("all",), {"amd64": "all"}),
        (("all", "any"), {"amd64": "binary", "arm64": "any"}),
        (("arm64",), {"arm64": "any"}),
        (("all", "arm64"), {"amd64": "all", "arm64": "any"}),
        (("riscv64",), {}),
    ],
)
def test_how_a_source_is_built_where(arches: tuple[str, ...], modes: dict[str, str]) -> None:
    assert find_modes(make("a", *arches), ["amd64", "arm64"]) == modes


def test_architecture_wildcards() -> None:
    words = ("any", "linux-any", "any-amd64", "amd64", "i386", "kfreebsd-any")
    assert [word for word in words if is_for([word], "amd64")] == ["any", "linux-any", "any-amd64", "amd64"]
