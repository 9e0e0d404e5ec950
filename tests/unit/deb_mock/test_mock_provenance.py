"""Provenance: an in-toto statement of SLSA's shape, the same for the same inputs but for two times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from deb_mock.config import choose
from deb_mock.dsc import load_dsc
from deb_mock.order import Order
from deb_mock.provenance import BUILD_TYPE, make_statement
from deb_mock.source import DscSource
from debcore.job import Lock, LockedPackage, Output


class Strict(BaseModel):
    """Only the fields that the published schemas have."""

    model_config = ConfigDict(extra="forbid")


Uri = Field(pattern=r"^[a-z][a-z0-9+.-]*:\S+$")
Time = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


class Descriptor(Strict):
    """in-toto's ResourceDescriptor: at least one of name, uri, digest, content."""

    name: str | None = None
    uri: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9+.-]*:\S+$")
    digest: dict[Literal["sha256"], str]
    annotations: dict[str, Any] | None = None


class Subject(Strict):
    name: str
    digest: dict[Literal["sha256"], str]


class Definition(Strict):
    buildType: str = Uri
    externalParameters: dict[str, Any]
    internalParameters: dict[str, Any]
    resolvedDependencies: list[Descriptor]


class Builder(Strict):
    id: str = Uri
    version: dict[str, str]


class Metadata(Strict):
    invocationId: str
    startedOn: str = Time
    finishedOn: str = Time


class Details(Strict):
    builder: Builder
    metadata: Metadata
    byproducts: list[Descriptor]


class Predicate(Strict):
    buildDefinition: Definition
    runDetails: Details


class Statement(Strict):
    """https://in-toto.io/Statement/v1 with https://slsa.dev/provenance/v1."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[Subject] = Field(min_length=1)
    predicateType: Literal["https://slsa.dev/provenance/v1"]
    predicate: Predicate


DSC = """Format: 3.0 (native)
Source: tool
Version: 1:2.0
Architecture: any
Checksums-Sha256:
 {digest} 4 tool_2.0.tar.xz
""".format(digest="d" * 64)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    (tmp_path / "tool_2.0.dsc").write_text(DSC)
    return Order(
        source=DscSource(load_dsc(tmp_path / "tool_2.0.dsc")),
        choice=choose(preset="debian-trixie-amd64"),
        directory=tmp_path,
    )


LOCK = Lock(
    preset="debian-trixie-amd64",
    suite="trixie",
    arch="amd64",
    packages=(
        LockedPackage(
            name="libstdc++6", version="1:14+x~y", arch="amd64", sha256="e" * 64, size=1, filename="pool/l.deb"
        ),
    ),
)
OUTPUTS = tuple(
    Output(path=name, sha256=digest * 64, size=1, kind=kind)
    for name, digest, kind in (
        ("tool_2.0_amd64.deb", "a", "deb"),
        ("tool_2.0_amd64.changes", "b", "changes"),
        ("build.log", "c", "log"),
    )
)
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def make(order: Order, *, later: float = 0) -> dict[str, Any]:
    assert isinstance(order.source, DscSource)
    begin = THEN + timedelta(seconds=later)
    end = begin + timedelta(seconds=60)
    return make_statement(order, DSC.encode(), order.source.dsc, LOCK, OUTPUTS, started_at=begin, finished_at=end)


def test_it_has_the_published_shape(order: Order) -> None:
    statement = Statement.model_validate_json(json.dumps(make(order)))
    assert [subject.name for subject in statement.subject] == ["tool_2.0_amd64.deb"]
    assert statement.predicate.buildDefinition.buildType == BUILD_TYPE
    found = {d.name: (d.uri, d.digest["sha256"]) for d in statement.predicate.buildDefinition.resolvedDependencies}
    assert found["libstdc++6"] == ("pkg:deb/debian/libstdc%2B%2B6@1%3A14%2Bx~y?arch=amd64", "e" * 64)
    assert found["tool_2.0.tar.xz"] == ("pkg:deb/debian/tool@1%3A2.0?arch=source", "d" * 64)
    assert "tool_2.0.dsc" in found


def test_only_the_times_differ(order: Order) -> None:
    first, second = make(order), make(order, later=3600)
    assert first != second
    for statement in (first, second):
        for name in ("startedOn", "finishedOn"):
            del statement["predicate"]["runDetails"]["metadata"][name]
    assert json.dumps(first) == json.dumps(second)


def test_the_build_type_is_documented() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "provenance.md"
    assert BUILD_TYPE in page.read_text()
