from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose import relations
from deb_bootc_compose.cli import group
from deb_bootc_compose.lock import Lock, LockedPackage, LockedVariant
from deb_bootc_compose.relations import find_lock, load_relations, say_unknown
from deb_bootc_compose.why import Installed, Relations, Step, describe
from debcore.deb822 import parse_stanza
from debcore.errors import Failure
from tests.unit.orchestrator.services.farm import make_deb


def control(name: str, *fields: str, size: int = 1) -> Installed:
    text = "\n".join([f"Package: {name}", "Version: 1", f"Installed-Size: {size}", *fields]) + "\n"
    return describe(parse_stanza(text.encode(), where=name), source=name, stage="archive")


def image(*packages: Installed, asked: tuple[str, ...] = ("server", "absent-"), soft: bool = False) -> Relations:
    return Relations({package.name: package for package in packages}, asked, soft)


SERVER = (
    control("server", "Depends: lib (>= 1) | other, mail-agent", "Recommends: manual", size=10),
    control("lib", "Pre-Depends: libc", size=20),
    control("libc", "Essential: yes", size=100),
    control("exim", "Provides: mail-agent (= 1)", "Depends: lib, exim-base", size=5),
    control("exim-base", "Depends: exim", size=7),
    control("manual", size=50),
)


def test_the_shortest_chain() -> None:
    found = image(*SERVER).chain("exim-base")
    assert found == [
        Step("", "manifest", "server", "server"),
        Step("server", "Depends", "mail-agent", "exim"),
        Step("exim", "Depends", "exim-base", "exim-base"),
    ]
    assert image(*SERVER).chain("libc") == [Step("", "base set", "libc", "libc")]
    assert image(*SERVER).chain("manual") == []
    assert image(*SERVER, soft=True).chain("manual")[-1] == Step("server", "Recommends", "manual", "manual")


def test_who_wants_it() -> None:
    assert [step.package for step in image(*SERVER).who_wants("lib")] == ["exim", "server"]
    assert image(*SERVER).who_wants("server") == [Step("", "manifest", "server", "server")]


def test_what_goes_with_it() -> None:
    assert image(*SERVER).only_for("exim") == ["exim", "exim-base"]
    assert image(*SERVER).only_for("server") == ["exim", "exim-base", "lib", "server"]
    assert image(*SERVER).only_for("libc") == ["libc"]
    assert image(*SERVER, asked=("server", "lib")).only_for("server") == ["exim", "exim-base", "server"]


def test_names_with_versions_and_architectures_are_asked_for() -> None:
    found = image(*SERVER, asked=("server=1", "lib:amd64")).roots()
    assert [step.gives for step in found if step.field == "manifest"] == ["server", "lib"]


def test_a_control_file_without_a_name() -> None:
    with pytest.raises(Failure, match="Package is missing"):
        describe(parse_stanza(b"Version: 1\n", where="x"), source="x", stage="base")


def make_lock(*packages: LockedPackage) -> Lock:
    made = LockedVariant(asked=("server",), base=packages, archive=(), hub=())
    return Lock(
        schema="deb-bootc-compose-lock/1",
        suite="trixie",
        timestamp=1,
        version="13",
        releases={},
        variants={"s.amd64": made},
    )


PACKAGE = LockedPackage(name="server", version="1", arch="amd64", sha256="0" * 64)


class SomeDebs:
    """Those that were built here; the hub no longer has the others."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def prefetch(self, packages: object) -> None: ...
    def find(self, package: LockedPackage) -> Path | None:
        path = self.place / f"{package.name}.deb"
        return path if path.is_file() else None


def locked(name: str) -> LockedPackage:
    return PACKAGE.model_copy(update={"name": name})


def test_what_is_missing_is_named_and_the_rest_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "server.deb").write_bytes(make_deb("server", "1", extra="Installed-Size: 7\nDepends: agent\n"))
    (tmp_path / "agent-lib.deb").write_bytes(make_deb("agent-lib", "1", extra="Installed-Size: 9\n"))
    (tmp_path / "torn.deb").write_bytes(b"!<arch>\n")
    lock = make_lock(*map(locked, ("server", "agent", "agent-lib", "torn")))
    relations = load_relations(SomeDebs(tmp_path), lock.variants["s.amd64"])
    assert [step.wanted for step in relations.chain("agent")] == ["server", "agent"]
    assert [name for name, one in relations.packages.items() if not one.known] == ["agent", "torn"]
    assert "torn 1 cannot be read" in caplog.text
    assert say_unknown(relations).startswith("without the .deb of agent 1, torn 1:")

    path = tmp_path / "x.json"
    path.write_text(lock.document())
    monkeypatch.setenv("DEBOOTC_STORE", str(tmp_path / "store"))
    for module in ("why", "why_size"):
        monkeypatch.setattr(f"deb_bootc_compose.cli.{module}.StoreDebs", lambda _: SomeDebs(tmp_path))
    why = CliRunner().invoke(group, ["why", "agent", str(path)])
    assert why.exit_code == 0
    assert "s.amd64: agent 1, size unknown" in why.stdout
    torn = CliRunner().invoke(group, ["why", "torn", str(path)])
    assert "nothing in the image whose needs are known wants it" in torn.stdout
    assert "without the .deb of agent 1, torn 1" in why.stderr
    (document,) = json.loads(CliRunner().invoke(group, ["why", "agent", str(path), "--json"]).stdout)
    assert (document["size"], document["unknown"]) == (None, ["agent", "torn"])
    sizes = CliRunner().invoke(group, ["why-size", str(path)])
    assert "4 packages, 0.0 MB installed" in sizes.stdout
    assert "without the .deb of agent 1, torn 1" in sizes.stderr
    rows = json.loads(CliRunner().invoke(group, ["why-size", str(path), "--json"]).stdout)["s.amd64"]
    assert {row["package"]: row["size"] for row in rows} == {
        "server": 7 * 1024, "agent-lib": 9 * 1024, "agent": None, "torn": None,
    }  # fmt: skip


def test_which_lock_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match="no compose here and no lock"):
        find_lock(None)
    (tmp_path / "compose.lock.json").write_text(make_lock().document())
    assert find_lock(None) == find_lock("compose.lock.json") == make_lock()
    compose = tmp_path / "composes" / "server-13-20261127.0"
    compose.mkdir(parents=True)
    (compose / "COMPOSE_ID").write_text(compose.name)
    (compose / "lock.json").write_text(make_lock(PACKAGE).document())
    assert find_lock(None) == find_lock(compose.name) == find_lock(str(compose)) == make_lock(PACKAGE)
    with pytest.raises(Failure, match="no compose directory"):
        find_lock("nothing")


def test_the_verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBOOTC_STORE", str(tmp_path / "store"))
    path = tmp_path / "x.json"
    path.write_text(make_lock(PACKAGE).document())
    failed = CliRunner().invoke(group, ["why", "other", str(path)]).exception
    assert isinstance(failed, Failure)
    assert "other is not in any variant" in str(failed)
    assert failed.hint == "deb-bootc-compose why-size --json lists all"
    slip = CliRunner().invoke(group, ["why", "sever", str(path)]).exception
    assert isinstance(slip, Failure)
    assert slip.hint == "did you mean server?"

    def load(*_: object) -> Relations:
        return image(*SERVER)

    for module in (relations, "deb_bootc_compose.cli.why", "deb_bootc_compose.cli.why_size"):
        name = f"{module if isinstance(module, str) else module.__name__}.load_relations"
        monkeypatch.setattr(name, load)
    shown = CliRunner().invoke(group, ["why", "server", str(path), "--all"]).output
    assert "  server: the manifest asks for it\n  wanted by\n    manifest\n" in shown
    assert "only for it: exim, exim-base, lib" in shown
    (document,) = json.loads(CliRunner().invoke(group, ["why", "server", str(path), "--json"]).output)
    assert document["only_for_it"] == ["exim", "exim-base", "lib", "server"]
    sizes = json.loads(CliRunner().invoke(group, ["why-size", str(path), "--json"]).output)["s.amd64"]
    assert [row["package"] for row in sizes][:2] == ["libc", "manual"]
    assert "6 packages" in CliRunner().invoke(group, ["why-size", str(path)]).output
