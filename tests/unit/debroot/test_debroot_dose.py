"""dose3's reports, as dose-builddebcheck 7 prints them."""

from __future__ import annotations

from typing import Any

import pytest

from deb_mock.unmet import make_report
from debcore.job import Unmet, UnmetStep
from debroot import dose
from debroot.dose import WHOLE, describe_unmet, is_whole, make_sources, parse_report, parse_reports

CHAIN = """output-version: 1.2
native-architecture: amd64
report:
 -
  package: clause-0
  version: 1
  architecture: any
  type: src
  status: broken
  reasons:
   -
    missing:
     pkg:
      package: chain-b
      version: 1.10
      architecture: all
      unsat-dependency: nobody-has:amd64 (>= 2) | nobody-else:amd64
     depchains:
      -
       depchain:
        -
         package: clause-0
         version: 1
         architecture: any
         type: src
         depends: chain-a:amd64
        -
         package: chain-a
         version: 1
         architecture: all
         depends: chain-b:amd64
 -
  package: build-dependencies
  version: 1
  architecture: any
  type: src
  status: broken
  reasons:
   -
    missing:
     pkg:
      package: unasked
      version: 1
      architecture: all
      unsat-dependency: x
"""
CONFLICT = """report:
 -
  package: build-dependencies
  version: 1
  type: src
  status: broken
  reasons:
   -
    conflict:
     pkg1:
      package: postfix
      version: 3.7
      architecture: amd64
      unsat-conflict: mail-transport-agent:amd64
     pkg2:
      package: exim4-daemon-light
      version: 4.96
      architecture: amd64
     depchain1:
      -
       depchain:
        -
         package: build-dependencies
         version: 1
         type: src
         depends: postfix:amd64
     depchain2:
      -
       depchain:
        -
         package: build-dependencies
         version: 1
         type: src
         depends: exim4-daemon-light:amd64
"""


def test_a_chain_is_read_and_told() -> None:
    (unmet,) = parse_report(CHAIN, arch="amd64")
    steps = (UnmetStep(package=WHOLE, depends="chain-a"), UnmetStep(package="chain-a 1", depends="chain-b"))
    clause = "nobody-has (>= 2) | nobody-else"
    assert unmet == Unmet(kind="missing", package="chain-b 1.10", clause=clause, chain=steps)
    assert list(describe_unmet(unmet)) == [
        f"chain-b 1.10 needs {clause}, which no package is or provides",
        "  build-dependencies needs chain-a → chain-a 1 needs chain-b",
    ]


def test_a_conflict_is_read_and_told() -> None:
    (unmet,) = parse_report(CONFLICT, arch="amd64")
    assert (unmet.kind, unmet.package, unmet.other) == ("conflict", "postfix 3.7", "exim4-daemon-light 4.96")
    first = next(iter(describe_unmet(unmet)))
    assert first == "postfix 3.7 conflicts with mail-transport-agent, which exim4-daemon-light 4.96 is or provides"


def test_no_reason_where_dose_finds_packages() -> None:
    assert parse_report("output-version: 1.2\nreport:\n \nbroken-packages: 0\n", arch="amd64") == ()


def test_each_clause_is_asked_about_by_itself_too() -> None:
    text = make_sources("a (>= 1) | b, c", "d")
    assert text.count("Package: clause-") == 2
    assert "Build-Depends: a (>= 1) | b\n" in text
    assert "Build-Depends: a (>= 1) | b, c\nBuild-Conflicts: d\n" in text


def test_apts_words_remain_where_dose_finds_nothing() -> None:
    apt = "The following packages have unmet dependencies:\n x : Depends: y but it is not going to be installed\nE: z"
    report = make_report(apt, (), hint="h")
    assert report.message == "x : Depends: y but it is not going to be installed"
    assert (report.kind, report.unmet, report.excerpt[-1]) == ("dependency", (), "E: z")


def test_reports_of_several_sources_are_told_apart() -> None:
    text = CHAIN.replace("package: clause-0", "package: clause-0.7").replace(
        "package: build-dependencies", "package: build-dependencies.7"
    )
    text += CONFLICT.removeprefix("report:\n").replace("package: build-dependencies", "package: build-dependencies.12")
    found = parse_reports(text, arch="amd64")
    kinds = {of: [one.kind for one in reasons] for of, reasons in found.items()}
    assert kinds == {"7": ["missing"], "12": ["conflict"]}
    assert found["7"] == parse_report(CHAIN, arch="amd64")
    assert found["12"] == parse_report(CONFLICT, arch="amd64")
    names = [line for line in make_sources("a, b", "", of="3").splitlines() if line.startswith("Package")]
    assert names == ["Package: clause-0.3", "Package: clause-1.3", "Package: build-dependencies.3"]


ESSENTIAL = """\
report:
 -
  package: build-dependencies.9
  version: 1
  type: src
  status: broken
  reasons:
   -
    conflict:
     pkg1:
      package: build-dependencies.9
      version: 1
      type: src
      unsat-conflict: dpkg:amd64
     pkg2:
      package: dpkg
      version: 1.22.22
      architecture: amd64
      essential: true
     depchain2:
      -
       depchain:
        -
         package: build-dependencies.9
         version: 1
         type: src
"""


def test_a_conflict_with_an_essential_package_has_no_chain_to_it() -> None:
    [unmet] = parse_reports(ESSENTIAL, arch="amd64")["9"]
    assert (unmet.kind, unmet.clause, unmet.other, unmet.other_chain) == ("conflict", "dpkg", "dpkg 1.22.22", ())


class Locked:
    """Indexes whose lock is held by whoever is inside."""

    held = False

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Locked:
        Locked.held = True
        return self

    def __exit__(self, *_: object) -> None:
        Locked.held = False

    def update(self, _max_age: float) -> None: ...

    def release_hashes(self) -> dict[str, str]:
        return {"trixie_InRelease": "0"}


@pytest.mark.parametrize("many", [False, True])
def test_the_solvers_root_is_made_before_the_indexes_are_locked_which_it_may_need(
    monkeypatch: pytest.MonkeyPatch, *, many: bool
) -> None:
    made = []

    def make_root(_store: object, *, packages: tuple[str, ...]) -> str:
        assert not Locked.held, "it would wait for us, and we for it"
        made.append(packages)
        return "root"

    def run(_store: object, tools: object, *_: object) -> str:
        assert (tools, Locked.held) == ("root", True)
        return "report:\n"

    monkeypatch.setattr(dose, "Indexes", Locked)
    monkeypatch.setattr(dose, "core_tools", lambda _store: None)
    monkeypatch.setattr(dose, "tools_root", make_root)
    monkeypatch.setattr(dose, "_run_dose", run)
    monkeypatch.setattr(dose, "make_offer", lambda *_: b"")
    store: Any = object()
    if many:
        assert dose.ask_dose_of_many(store, (), "amd64", [dose.Asked("hello")]).unmet == ((),)
        assert dose.ask_dose_of_many(store, (), "amd64", []).release_hashes, "that needs no root"
    else:
        assert dose.ask_dose(store, (), "amd64", "hello") == "report:\n"
    assert made == [dose.DOSE]


def test_a_report_that_was_cut_off_proves_nothing() -> None:
    whole = CHAIN + " \nbinary-packages: 8\nbroken-packages: 2\n"
    assert is_whole(whole)
    assert is_whole("report:\n \nbroken-packages: 0\n")
    assert not is_whole(CHAIN)
    assert not is_whole(whole.replace("broken-packages: 2", "broken-packages: 3"))
    assert not is_whole("")
