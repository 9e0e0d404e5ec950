"""SBOMs that the official validators accept, and the join from each .deb to who built it.

The validators are imported where they are used: that takes three seconds, which only who uses them should wait for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from packageurl import PackageURL

from deb_bootc_compose import metadata, records, sbom
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.lock import Lock, LockedPackage
from deb_bootc_compose.records import find_records, load_records, origins, releases_of, write_records
from deb_bootc_compose.sbom import Component, Subject
from debcore.hub.model import Artifact, Build, BuildArch, BuildState
from tests.unit.deb_bootc_compose.report.world import BUILT, KEY, locked, make_lock

EVIL = 'Evil ") <script>\x1b[31m\u202e (x) <a@b'
RELEASES = {
    "deb.example.org_debian_dists_trixie_InRelease": "a" * 64,
    "deb.example.org_debian-security_dists_trixie-security_InRelease": "b" * 64,
    "hub_dists_trixie-local_InRelease": "c" * 64,
}


def from_archive(name: str, version: str = "1", place: str = "debian") -> LockedPackage:
    file = f"pool/main/{name[0]}/{name}/{name}_{version}_amd64.deb"
    uri = f"http://deb.example.org/{place}/{file.replace('+', '%2b')}"
    return locked(name, version).model_copy(update={"filename": file, "uri": uri})


PACKAGES = (
    from_archive("libstdc++6", "14.2.0-19"), from_archive("libssl3t64", "1:3.5.1-1+deb13u1", "debian-security"),
    from_archive("zz-odd", "2:1.0~rc1"),
)  # fmt: skip


def lock() -> Lock:
    return make_lock(*PACKAGES).model_copy(update={"releases": RELEASES})


def build(id_: int, sha256: str, *, source: str = "site-agent", binary: str = "x") -> Build:
    def artifact(name: str, kind: str, digest: str) -> Artifact:
        return Artifact(name=name, kind=kind, sha256=digest, size=1)

    arch = BuildArch(
        arch="amd64", state=BuildState.INSTALLED, job=70 + id_, attempt=2, lock_sha256="9" * 64, reproducible=True,
        artifacts=(
            artifact(f"{binary}.deb", "deb", sha256), artifact(f"{source}.buildinfo", "buildinfo", f"{id_:064x}"),
        ),
    )  # fmt: skip
    return Build(
        id=id_, source=source, version="1.0+local1", target="trixie-local", suite="trixie-local", request="r" * 64,
        state=BuildState.INSTALLED, created_at=datetime(2026, 11, 27, tzinfo=UTC), dsc_sha256="d" * 64, arches=(arch,),
    )  # fmt: skip


class Hub:
    """Builds by source, newest first; a listing has no artifacts, as the hub's has none of use to us."""

    def __init__(self, *made: Build) -> None:
        self.made = sorted(made, key=lambda one: -one.id)
        self.asked: list[int] = []

    def builds(self, *, source: str | None = None, before: int | None = None, limit: int = 50) -> list[Build]:
        found = [one for one in self.made if one.source == source and (before is None or one.id < before)]
        return [one.model_copy(update={"arches": ()}) for one in found[:limit]]

    def build(self, id_: int) -> Build:
        self.asked.append(id_)
        return next(one for one in self.made if one.id == id_)


def test_a_deb_is_joined_to_the_build_of_exactly_its_bytes() -> None:
    newer = [build(number, "7" * 64) for number in range(3, 60)]  # the same version, built again: other bytes
    hub = Hub(build(2, BUILT.sha256), *newer, build(1, "8" * 64))
    (record,) = find_records(hub, [BUILT], url="https://hub.example.org/").values()
    assert record["build"] == 2
    assert record["url"] == "https://hub.example.org/builds/2"
    assert record["buildinfo"] == {"name": "site-agent.buildinfo", "sha256": f"{2:064x}"}
    assert (record["request"], record["job"], record["attempt"]) == ("r" * 64, 72, 2)
    assert 1 not in hub.asked  # found: nothing older is looked at
    assert find_records(Hub(), [BUILT], url=None) == {}
    (own,) = find_records(hub, [BUILT], url=None).values()
    assert own["url"] is None


def test_a_deb_of_the_archive_is_joined_to_its_release_files() -> None:
    ssl = next(package for package in PACKAGES if package.name == "libssl3t64")
    assert releases_of(ssl, RELEASES) == {
        "deb.example.org_debian-security_dists_trixie-security_InRelease": "b" * 64
    }  # fmt: skip
    assert releases_of(PACKAGES[0], RELEASES) == {"deb.example.org_debian_dists_trixie_InRelease": "a" * 64}
    private = PACKAGES[0].model_copy(update={"uri": PACKAGES[0].uri and PACKAGES[0].uri.replace("//", "//u:pw@", 1)})
    assert len(releases_of(private, RELEASES)) == 1
    assert "pw" not in json.dumps(records.origin_of(private, lock(), stage="base", records={}))
    assert releases_of(locked("nowhere"), RELEASES) == {}


def test_builds_json_has_every_package() -> None:
    known = find_records(Hub(build(2, BUILT.sha256)), [BUILT], url=None)
    variants = {KEY: {"name": "server", "arch": "amd64", "ref": "r"}}
    kind = {"type": "nightly", "label": None}
    document = metadata.builds("Example-13-20261122.n.4", kind, lock(), variants, known)["payload"]
    found = document["builds"]["server"]["amd64"]
    assert len(found) == len(PACKAGES) + 1
    assert found["site-agent_1.0+local1_amd64"]["build"]["build"] == 2
    assert found["zz-odd_2:1.0~rc1_amd64"]["releases"] == {"deb.example.org_debian_dists_trixie_InRelease": "a" * 64}
    unknown = metadata.builds("Example-13-20261122.n.4", kind, lock(), variants, {})["payload"]
    assert unknown["builds"]["server"]["amd64"]["site-agent_1.0+local1_amd64"]["build"] is None


def test_records_that_are_missing_or_damaged_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    compose = ComposeDirectory(tmp_path)
    assert load_records(compose.logs / records.NAME) == {}
    write_records(compose, {"a": {"build": 1}})
    assert load_records(compose.logs / records.NAME) == {"a": {"build": 1}}
    for damage in ("", "[]", '{"a": 1}'):
        (compose.logs / records.NAME).write_text(damage)
        assert load_records(compose.logs / records.NAME) == {}


def subject(**changes: Any) -> Subject:
    made = Subject(
        key=KEY, name="example/server", version="13.20261127.1315", suite="trixie", timestamp=1_795_785_350,
        lock="f" * 64, commit="c" * 64, digest="sha256:" + "d" * 64, disks=(("x.raw", "e" * 64),),
    )  # fmt: skip
    return replace(made, **changes)


def components(
    maintainer: str = "GCC Maintainers <gcc@example.org>", homepage: str = "https://example.org"
) -> list[Component]:
    known = find_records(Hub(build(2, BUILT.sha256)), [BUILT], url="https://hub.example.org")
    return [Component(package, origin, maintainer, homepage) for package, origin in origins(lock(), KEY, known)]


CASES = [
    pytest.param(subject(), components(), id="whole"),
    pytest.param(subject(digest="", commit="", disks=(), name="a/ref"), components(""), id="without outputs"),
    pytest.param(subject(name=EVIL, version=EVIL), components(EVIL, EVIL), id="hostile"),
    pytest.param(subject(), [], id="empty"),
]


@pytest.mark.parametrize(("image", "parts"), CASES)
def test_cyclonedx_validates(image: Subject, parts: Sequence[Component]) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    document = sbom.cyclonedx(image, parts, tool_version="0.1")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    assert len(document["components"]) == len(parts)
    broken = json.dumps(document | {"bomFormat": "x"})
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None


@pytest.mark.parametrize(("image", "parts"), CASES)
def test_spdx_validates(tmp_path: Path, image: Subject, parts: Sequence[Component]) -> None:
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    document = sbom.spdx(image, parts, tool_version="0.1")
    path = tmp_path / "x.spdx.json"
    path.write_text(json.dumps(document))
    parsed = parse_file(str(path))
    assert [message.validation_message for message in validate_full_spdx_document(parsed)] == []
    assert len(parsed.packages) == len(parts) + 1
    document["packages"][0]["SPDXID"] = "no id"
    path.write_text(json.dumps(document))
    assert validate_full_spdx_document(parse_file(str(path)))


def test_a_homepage_is_an_address_or_nothing() -> None:
    pages = ["https://example.org:80/a%20b/~c", "javascript:alert(1)", "http://a b", EVIL, ""]
    assert [Component(BUILT, {}, "", page).website for page in pages] == [pages[0], "", "", "", ""]
    made = sbom.cyclonedx(subject(), components(), tool_version="1")["components"]
    assert made[0]["externalReferences"] == [{"type": "website", "url": "https://example.org"}]


def test_package_urls_are_read_back() -> None:
    for component in components():
        url = PackageURL.from_string(component.purl("trixie"))
        assert (url.type, url.namespace, url.name) == ("deb", "debian", component.package.name)
        assert url.version == component.package.version
        assert url.qualifiers == {"arch": "amd64", "distro": "trixie"}


def test_the_same_lock_gives_the_same_documents() -> None:
    first, second = (
        [
            sbom.cyclonedx(subject(), components(), tool_version="1"),
            sbom.spdx(subject(), components(), tool_version="1"),
        ]
        for _ in range(2)
    )
    assert first == second
    other = sbom.cyclonedx(subject(digest="sha256:" + "1" * 64), components(), tool_version="1")
    assert other["serialNumber"] != first[0]["serialNumber"]
    assert first[0]["metadata"]["timestamp"] == "2026-11-27T13:15:50Z"


def test_the_statement_names_outputs_and_builds() -> None:
    made = sbom.statement(
        subject(), components(), compose_id="X", releases=RELEASES, hub={"suite": "s"}, lock_sha256="1" * 64,
        tool_version="1",
    )  # fmt: skip
    assert {one["name"]: one["digest"]["sha256"] for one in made["subject"]} == {
        "example/server": "d" * 64, "ostree-commit": "c" * 64, "x.raw": "e" * 64,
    }  # fmt: skip
    inputs = {one["name"]: one for one in made["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert inputs["site-agent"]["annotations"]["build"]["buildinfo"]["sha256"] == f"{2:064x}"
    assert inputs["site-agent"]["digest"]["sha256"] == BUILT.sha256
    assert inputs["libstdc++6"]["annotations"]["origin"] == "archive"
    assert inputs["hub_dists_trixie-local_InRelease"]["digest"]["sha256"] == "c" * 64
