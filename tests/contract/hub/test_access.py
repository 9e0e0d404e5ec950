"""Who reads and changes which suite, on both databases; and a log that nobody can change."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.exc import DBAPIError

from deb_orchestrator.services import access, audits, people, repos, roles, suite_packages, suites, targets
from deb_orchestrator.services.access import Caller
from deb_orchestrator.services.hub import Conflict, Denied, NotFound, Principal
from deb_orchestrator.store.tables_domain import audit
from deb_orchestrator.store.tables_doors import apt_credential
from deb_orchestrator.web.api.app import make_app
from debcore.hub.doors import AptCredentialAsk
from debcore.hub.model import PREFIX, Target, TokenAsk
from debcore.hub.repos import SuiteSettings
from debcore.hub.suites import PackageAsk, SuiteAsk
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, only

ALICE = Principal(name="alice", scope="client")
BOB = Principal(name="bob", scope="client")
AGENT = Principal(name="builder", scope="agent", agent=1)


def set_private(farm: Farm, name: str = SUITE, *, private: bool = True) -> None:
    repos.set_settings(farm.hub, ADMIN, name, SuiteSettings(private=private))


def may_fetch(farm: Farm, path: str, *, who: Principal | None = None, password: str = "") -> bool:
    with farm.hub.db.read() as db:
        return access.may_fetch(db, Caller(who, password), path)


def make_suite(farm: Farm, name: str, *parents: str) -> None:
    suites.make_suite(farm.hub, ADMIN, name, SuiteAsk(arches=("amd64",), parents=parents))


def build(farm: Farm) -> tuple[str, str]:
    """Paths of a package and of its .dsc in the pool."""
    farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    farm.settle()
    with farm.hub.db.read() as db:
        paths = sorted(db.execute(sa.text("SELECT path FROM pool_file")).scalars())
    deb = next(path for path in paths if path.endswith(".deb"))
    return deb, next(path for path in paths if path.endswith(".dsc"))


def test_a_private_suite_is_fetched_by_those_who_may(farm: Farm) -> None:
    deb, dsc = build(farm)
    files = (f"dists/{SUITE}/InRelease", f"dists/{SUITE}@1/InRelease", f"dists/{SUITE}-debug/InRelease", deb, dsc)
    assert all(may_fetch(farm, path) for path in files), "it is public"
    set_private(farm)
    for path in files:
        assert not may_fetch(farm, path), path
        assert not may_fetch(farm, path, who=ALICE), path
        assert not may_fetch(farm, path, password="guess"), path
        assert may_fetch(farm, path, who=ADMIN), path
        assert may_fetch(farm, path, who=AGENT), path
    assert may_fetch(farm, f"keys/{SUITE}.asc"), "a key is no secret"
    made = roles.add_credential(farm.hub, ADMIN, SUITE, AptCredentialAsk(name="web"))
    assert all(may_fetch(farm, path, password=made.secret or "") for path in files)
    roles.set_role(farm.hub, ADMIN, SUITE, "alice", "reader")
    assert all(may_fetch(farm, path, who=ALICE) for path in files)
    assert not may_fetch(farm, deb, who=BOB)
    assert may_fetch(farm, "dists/nowhere/InRelease"), "what is not there is 404"
    again = roles.add_credential(farm.hub, ADMIN, SUITE, AptCredentialAsk(name="web"))
    assert not may_fetch(farm, deb, password=made.secret or ""), "a new password ends the old one"
    with farm.hub.db.write() as db:
        db.execute(sa.update(apt_credential).values(expires_at=1))
    assert not may_fetch(farm, deb, password=again.secret or "")
    roles.remove_credential(farm.hub, ADMIN, SUITE, "web")
    assert roles.list_credentials(farm.hub, SUITE) == []
    set_private(farm, private=False)
    assert all(may_fetch(farm, path) for path in files)


def test_a_file_is_open_if_a_public_suite_has_it_and_heirs_read_what_they_inherit(farm: Farm) -> None:
    deb, dsc = build(farm)
    make_suite(farm, "heir", SUITE)
    with pytest.raises(Conflict, match="public suites inherit from trixie-local: heir"):
        set_private(farm)
    set_private(farm, "heir")
    set_private(farm)
    password = roles.add_credential(farm.hub, ADMIN, "heir", AptCredentialAsk(name="web")).secret or ""
    assert may_fetch(farm, "dists/heir/InRelease", password=password)
    assert may_fetch(farm, deb, password=password), "the heir's index lists it"
    assert may_fetch(farm, dsc, password=password)
    assert not may_fetch(farm, f"dists/{SUITE}/InRelease", password=password)
    make_suite(farm, "open")
    with pytest.raises(Conflict, match="open is public and would show what trixie-local keeps private"):
        suites.set_parents(farm.hub, ADMIN, "open", [SUITE])
    with pytest.raises(Conflict, match="inherits from private suites"):
        set_private(farm, "heir", private=False)
    made = TestClient(make_app(farm.hub), base_url="http://127.0.0.1")
    token = people.make_token(farm.hub, ADMIN, TokenAsk(name="admin", scope="admin")).secret
    ask = {"source": "hello", "version": "1.0"}
    headers = {"Authorization": f"Bearer {token}"}
    assert not may_fetch(farm, deb)
    taken = made.post(f"{PREFIX}/suites/open/packages", json=ask, headers=headers)
    assert taken.status_code == 200, taken.text
    assert may_fetch(farm, deb), "a public suite has it now"
    assert may_fetch(farm, dsc)


def test_heirs_of_the_debug_companion_count_too(farm: Farm) -> None:
    build(farm)
    make_suite(farm, f"{SUITE}-debug")
    make_suite(farm, "symbols", f"{SUITE}-debug")
    with pytest.raises(Conflict, match="public suites inherit from trixie-local: symbols"):
        set_private(farm)
    suites.set_parents(farm.hub, ADMIN, "symbols", [])
    set_private(farm)
    make_suite(farm, "hidden")
    set_private(farm, "hidden")
    suites.set_parents(farm.hub, ADMIN, f"{SUITE}-debug", ["hidden"])
    with pytest.raises(Conflict, match="trixie-local inherits from private suites: hidden"):
        set_private(farm, private=False)
    suites.set_parents(farm.hub, ADMIN, f"{SUITE}-debug", [])
    set_private(farm, private=False)


def test_over_http_a_private_suite_is_not_there_for_strangers(farm: Farm) -> None:
    build(farm)
    set_private(farm)
    anybody = TestClient(make_app(farm.hub), base_url="http://127.0.0.1")
    refused = anybody.get(f"/apt/dists/{SUITE}/InRelease")
    assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")
    tokens = {name: people.make_token(farm.hub, ADMIN, TokenAsk(name=name, scope="client")).secret for name in "ab"}
    bearer = {name: {"Authorization": f"Bearer {secret}"} for name, secret in tokens.items()}
    paths = ("", "/packages", "/history", "/parents", "/rules", "/settings", "/snapshots", "/keys")
    roles.set_role(farm.hub, ADMIN, SUITE, "a", "reader")
    for path in paths:
        assert anybody.get(f"{PREFIX}/suites/{SUITE}{path}", headers=bearer["b"]).status_code == 404, path
        assert anybody.get(f"{PREFIX}/suites/{SUITE}{path}", headers=bearer["a"]).status_code == 200, path
    assert anybody.get(f"{PREFIX}/suites", headers=bearer["b"]).json() == []
    assert [one["private"] for one in anybody.get(f"{PREFIX}/suites", headers=bearer["a"]).json()] == [True]
    rule = f"{PREFIX}/suites/{SUITE}/rules/hello"
    assert anybody.put(rule, json={"state": "blocked"}, headers=bearer["a"]).status_code == 403
    roles.set_role(farm.hub, ADMIN, SUITE, "a", "manager")
    assert anybody.put(rule, json={"state": "blocked"}, headers=bearer["a"]).status_code == 200
    made = anybody.post(f"{PREFIX}/suites/{SUITE}/credentials", json={"name": "web"}, headers=bearer["a"])
    assert made.status_code == 201
    ok = anybody.get(f"/apt/keys/{SUITE}.asc")
    assert ok.status_code == 200
    index = anybody.get(f"/apt/dists/{SUITE}/main/binary-amd64/Packages.gz", auth=("web", made.json()["secret"]))
    assert index.status_code == 200
    assert index.headers["cache-control"].startswith("no-cache")
    roles.set_role(farm.hub, ADMIN, SUITE, "a", None)
    assert anybody.put(rule, json={"state": "allowed"}, headers=bearer["a"]).status_code == 404


def test_a_manager_manages_one_suite_and_reads_no_other_private_one(farm: Farm) -> None:
    make_suite(farm, "mine")
    make_suite(farm, "hidden")
    set_private(farm, "hidden")
    roles.set_role(farm.hub, ADMIN, "mine", "alice", "manager")
    with farm.hub.db.read() as db:
        access.check_manage(db, ALICE, "mine")
        access.check_manage(db, ADMIN, "hidden")
        for who, name, kind in ((ALICE, SUITE, Denied), (ALICE, "hidden", NotFound), (BOB, "mine", Denied)):
            with pytest.raises(kind):
                access.check_manage(db, who, name)
        with pytest.raises(Denied):
            access.check_manage(db, replace(AGENT, name="alice"), "mine")
    with pytest.raises(NotFound):
        access.check_all(farm.hub, ALICE, ["mine", "hidden"])
    with pytest.raises(NotFound):
        roles.set_role(farm.hub, ADMIN, "nowhere", "alice", "reader")


def test_the_audit_log_is_only_appended_to(farm: Farm) -> None:
    make_suite(farm, "mine")
    roles.set_role(farm.hub, ADMIN, "mine", "alice", "manager")
    newest = audits.list_audit(farm.hub, action="suite.")
    assert [(one.action, one.subject, one.principal) for one in newest[:2]] == [
        ("suite.role", "mine", "test"), ("suite.make", "mine", "test")
    ]  # fmt: skip
    assert newest[0].data == {"principal": "alice", "role": "manager"}
    assert audits.list_audit(farm.hub, principal="nobody") == []
    assert audits.list_audit(farm.hub, action="suite.role", subject="mine", before=newest[0].id + 1)[0] == newest[0]
    assert audits.list_audit(farm.hub, action="suite.role", before=newest[0].id) == []
    for statement in (sa.update(audit).values(principal="somebody else"), sa.delete(audit)):
        with pytest.raises(DBAPIError, match="only appended to"), farm.hub.db.write() as db:
            db.execute(statement)
    assert audits.list_audit(farm.hub, action="suite.") == newest


def test_a_manager_of_a_public_suite_takes_nothing_out_of_a_private_one(farm: Farm) -> None:
    build(farm)
    make_suite(farm, "public")
    set_private(farm)
    roles.set_role(farm.hub, ADMIN, "public", "alice", "manager")
    for ask in (PackageAsk(source="hello"), PackageAsk(source="hello", suite=SUITE)):
        with pytest.raises(NotFound):
            suite_packages.add_package(farm.hub, ALICE, "public", ask)
    with pytest.raises(NotFound):
        suite_packages.merge_suite(farm.hub, ALICE, "public", SUITE)
    set_private(farm, private=False)
    assert suite_packages.add_package(farm.hub, ALICE, "public", PackageAsk(source="hello"))


def test_a_target_for_a_suite_is_made_by_who_may_change_it(farm: Farm) -> None:
    wanted = Target(name="mine", suite=SUITE, preset="debian-trixie", arches=("amd64",))
    with pytest.raises(Denied, match="may not change"):
        targets.ensure_target(farm.hub, ALICE, wanted)
    set_private(farm)
    with pytest.raises(NotFound):
        targets.ensure_target(farm.hub, ALICE, wanted)
    with pytest.raises(NotFound):
        targets.ensure_target(farm.hub, ALICE, wanted.model_copy(update={"suite": "new", "build_suite": SUITE}))
    assert targets.ensure_target(farm.hub, ALICE, wanted.model_copy(update={"suite": "new"})).suite == "new"


@pytest.mark.parametrize("path", ["x", "", "pool", "pool/", "pool/x", "pool//x", "dists", "dists/"])
def test_any_path_is_answered(farm: Farm, path: str) -> None:
    set_private(farm)
    assert isinstance(may_fetch(farm, path), bool)
