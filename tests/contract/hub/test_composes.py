"""What a hub knows of composes. On both databases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deb_bootc_compose.report.gather import load_facts
from deb_bootc_compose.telling import make_ask
from deb_orchestrator.services import composes, repos, suite_packages
from deb_orchestrator.services.hub import Denied, NotFound, Principal
from deb_orchestrator.services.uses import find_uses, load_lives, load_rules
from debcore.errors import Failure
from debcore.hub import composes as wire
from debcore.hub.repos import SuiteSettings
from tests.contract.hub.collecting import reading_here
from tests.unit.deb_bootc_compose.report.world import COMMIT, DIGEST, KEY, make_compose
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, only

ALICE, BOB = (Principal(name=name, scope="client") for name in ("alice", "bob"))
ID = "Site-13-20261127.0"


def sha256_of(farm: Farm, number: int) -> str:
    """Of the one .deb that a build made."""
    return next(one.sha256 for one in farm.build(number).arches[0].artifacts if one.kind == "deb")


def make(hello: str = "", *, status: str = "FINISHED", **more: Any) -> wire.ComposeAsk:
    """With bash of the archive, and hello if its .deb is named by its hash."""
    packages = [wire.ComposePackage(name="bash", version="5.2", arch="amd64", source="bash", sha256="b" * 64)]
    if hello:
        packages.append(wire.ComposePackage(name="hello", version="1.0", arch="amd64", sha256=hello))
    gates = (wire.ComposeGate(name="boot", verdict="passed", seconds=21.5),)
    variant = wire.ComposeVariant(name="server", arch="amd64", digest=DIGEST, gates=gates, packages=tuple(packages))
    return wire.ComposeAsk(**({"type": "nightly", "status": status, "variants": (variant,)} | more))


def build(farm: Farm, name: str) -> int:
    asked = farm.ask(farm.add_source(name))
    farm.finish_well(only(farm.claim()))
    farm.settle()
    return asked.builds[0]


def test_a_compose_names_the_builds_of_its_packages(farm: Farm) -> None:
    with reading_here():
        number = build(farm, "hello")
    deb = sha256_of(farm, number)
    told = composes.put_compose(farm.hub, ALICE, ID, make(deb))
    assert (told.packages, told.builds, told.by) == (2, 1, "alice")
    again = composes.put_compose(farm.hub, ALICE, ID, make(deb))
    assert again.model_copy(update={"told_at": told.told_at}) == told, "told twice it is the same"
    shown = composes.get_compose(farm.hub, BOB, ID)
    (image,) = shown.images
    assert {one.name: one.build for one in image.packages} == {"hello": number, "bash": None}
    assert (image.digest, image.gates[0].verdict) == (DIGEST, "passed")
    assert composes.list_composes(farm.hub, BOB, build_id=number) == [again]
    assert composes.list_composes(farm.hub, BOB, build_id=number + 1) == []
    composes.put_compose(farm.hub, ALICE, ID, make(deb, status="DOOMED", variants=()))
    assert composes.get_compose(farm.hub, BOB, ID).images == (), "what was told last counts"
    for n in range(3):
        composes.put_compose(farm.hub, ALICE, f"Site-13-2026112{n}.0", make())
    ids = [one.id for one in composes.list_composes(farm.hub, BOB)]
    assert ids == ["Site-13-20261122.0", "Site-13-20261121.0", "Site-13-20261120.0", ID]
    page = composes.list_composes(farm.hub, BOB, before=ids[1], limit=1)
    assert [one.id for one in page] == ids[2:3]


def test_only_who_told_of_a_compose_tells_on(farm: Farm) -> None:
    composes.put_compose(farm.hub, ALICE, ID, make())
    with pytest.raises(Denied):
        composes.put_compose(farm.hub, BOB, ID, make(status="DOOMED"))
    with pytest.raises(Denied):
        composes.remove_compose(farm.hub, BOB, ID)
    told = composes.put_compose(farm.hub, ADMIN, ID, make(status="DOOMED"))
    assert (told.status, told.by) == ("DOOMED", "alice")
    composes.remove_compose(farm.hub, ALICE, ID)
    with pytest.raises(NotFound):
        composes.get_compose(farm.hub, ADMIN, ID)


def test_a_compose_with_hidden_builds_is_hidden_and_gives_none_away(farm: Farm) -> None:
    with reading_here():
        number = build(farm, "hello")
    deb = sha256_of(farm, number)
    composes.put_compose(farm.hub, ADMIN, ID, make(deb))
    composes.put_compose(farm.hub, ADMIN, "Open-13-20261127.0", make())
    repos.set_settings(farm.hub, ADMIN, SUITE, SuiteSettings(private=True))
    assert [one.id for one in composes.list_composes(farm.hub, BOB)] == ["Open-13-20261127.0"]
    assert composes.list_composes(farm.hub, BOB, build_id=number) == []
    for call in (composes.get_compose, composes.remove_compose):
        with pytest.raises(NotFound):
            call(farm.hub, BOB, ID)
    guess = composes.put_compose(farm.hub, BOB, "Guess-13-20261127.0", make(deb))
    assert guess.builds == 0, "who names a hash does not learn whether it is here"


def test_what_a_finished_compose_has_is_kept_until_it_is_removed(farm: Farm) -> None:
    with reading_here():
        number = build(farm, "hello")
        suite_packages.remove_package(farm.hub, ADMIN, SUITE, "hello")
        farm.settle()
    deb = sha256_of(farm, number)

    def uses() -> tuple[str, str]:
        """What keeps the package, and the build's records, once the days of what left its suite are over."""
        with farm.hub.db.read() as db:
            rules = replace(load_rules(db), cutoff_event=farm.events_so_far())
            return find_uses(db, [deb], rules).get(deb, ""), load_lives(db, [number], rules)[number].uses

    assert uses() == ("", "")
    composes.put_compose(farm.hub, ALICE, ID, make(deb))
    assert uses() == (f"compose {ID}", f"compose {ID}")
    composes.put_compose(farm.hub, ALICE, ID, make(deb, status="DOOMED"))
    assert uses() == ("", ""), "of one that failed there is no image"
    composes.put_compose(farm.hub, ALICE, ID, make(deb))
    composes.remove_compose(farm.hub, ALICE, ID)
    assert uses() == ("", "")


def test_what_the_compose_tool_tells_fits(farm: Farm, tmp_path: Path) -> None:
    compose = make_compose(tmp_path / "good")
    ask = make_ask(load_facts(compose, status="FINISHED"), place=str(compose.path))
    composes.put_compose(farm.hub, ALICE, compose.id, ask)
    shown = composes.get_compose(farm.hub, ALICE, compose.id)
    (image,) = shown.images
    assert f"{image.name}.{image.arch}" == KEY
    assert (image.commit, image.digest, image.tags) == (COMMIT, DIGEST, ("latest",))
    assert {one.name for one in image.packages} == {"libc6", "bash", "site-agent"}
    assert {("lint", "passed"), ("boot", "passed")} <= {(gate.name, gate.verdict) for gate in image.gates}
    assert (shown.label, shown.release, shown.suite) == ("RC-1.0", "Example 13", "trixie")
    doomed = make_compose(tmp_path / "bad", fail=f"boot.{KEY}", message="no\0 boot " * 500)
    composes.put_compose(farm.hub, ALICE, "Doomed-1", make_ask(load_facts(doomed, status="DOOMED")))
    shown = composes.get_compose(farm.hub, ALICE, "Doomed-1")
    assert shown.status == "DOOMED"
    assert (shown.faults[0].task, shown.faults[0].hint) == (f"boot.{KEY}", "mend it")


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "finished"}, {"type": "x" * 129}, {"type": "a\0"},
        {"links": ({"title": "x", "url": "javascript:1"},)},
        {"variants": ({"name": "a", "arch": "AMD 64"},)},
        {"variants": ({"name": "a", "arch": "amd64", "digest": "sha256:1"},)},
        {"variants": ({"name": "a", "arch": "amd64", "disks": ({"path": "x", "sha256": "e" * 64, "size": 2**64},)},)},
    ],
)  # fmt: skip
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**wrong)


def test_two_images_of_one_name_are_refused(farm: Farm) -> None:
    variant = {"name": "a", "arch": "amd64"}
    with pytest.raises(Failure, match="same name and architecture"):
        composes.put_compose(farm.hub, ALICE, ID, make(variants=(variant, variant)))
