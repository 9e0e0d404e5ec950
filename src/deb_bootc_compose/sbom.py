"""What an image is made of and from: CycloneDX, SPDX, and an in-toto statement with SLSA's provenance. Pure.

The same lock gives the same bytes, whenever and wherever they are made.

Source: CycloneDX 1.6, SPDX 2.3 (JSON), https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1, purl.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from deb_bootc_compose.lock import LockedPackage

TOOL = "deb-bootc-compose"
BUILD_TYPE = "urn:deb-bootc-ecosystem:deb-bootc-compose:compose:v1"
BUILDER = "urn:deb-bootc-ecosystem:deb-bootc-compose:builder"
#: Of identifiers that follow from content.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, BUILD_TYPE)
NONE = "NOASSERTION"
WEBSITE = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/%+-]*)?")


@dataclass(frozen=True)
class Subject:
    """One image. `digest` is that of the container image's manifest ("" if there is none)."""

    key: str  #: NAME.ARCH
    name: str  #: of the container image, else of the ref
    version: str
    suite: str
    timestamp: int  #: the lock's, seconds since the epoch
    lock: str  #: hash of the lock's content
    commit: str = ""
    digest: str = ""
    disks: tuple[tuple[str, str], ...] = ()  #: (file name, SHA-256)

    @property
    def uuid(self) -> uuid.UUID:
        return uuid.uuid5(NAMESPACE, f"{self.key} {self.version} {self.lock} {self.digest} {self.commit}")

    @property
    def created(self) -> str:
        return datetime.fromtimestamp(self.timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Component:
    """One package with what its control file says; "" where that was not read."""

    package: LockedPackage
    origin: Mapping[str, Any]  #: as in builds.json
    maintainer: str = ""
    homepage: str = ""

    @property
    def source(self) -> str:
        package = self.package
        return f"{package.source or package.name} {package.source_version or package.version}"

    def purl(self, suite: str) -> str:
        name, version = quote(self.package.name, safe=""), quote(self.package.version, safe="")
        return f"pkg:deb/debian/{name}@{version}?arch={self.package.arch}&distro={quote(suite, safe='')}"

    @property
    def website(self) -> str:
        """The homepage, if it is a plain address."""
        return self.homepage if WEBSITE.fullmatch(self.homepage) else ""

    @property
    def supplier(self) -> str:
        """The maintainer's name, of letters that every format takes."""
        name = self.maintainer.partition("<")[0]
        return " ".join("".join(c if c.isprintable() and c not in '()"' else " " for c in name).split())[:200]


def cyclonedx(subject: Subject, components: Sequence[Component], *, tool_version: str) -> dict[str, Any]:
    root = str(subject.uuid)
    hashes = [{"alg": "SHA-256", "content": subject.digest.removeprefix("sha256:")}] if subject.digest else []
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{root}",
        "version": 1,
        "metadata": {
            "timestamp": subject.created,
            "tools": {"components": [{"type": "application", "name": TOOL, "version": tool_version}]},
            "component": {
                "type": "operating-system", "bom-ref": root, "name": subject.name, "version": subject.version,
                **({"hashes": hashes} if hashes else {}),
            },
        },
        "components": [_cyclonedx_component(component, subject.suite) for component in components],
        "dependencies": [{"ref": root, "dependsOn": [component.purl(subject.suite) for component in components]}],
    }  # fmt: skip


def _cyclonedx_component(component: Component, suite: str) -> dict[str, Any]:
    package, build = component.package, component.origin.get("build")
    properties = {
        "deb:source": component.source,
        "deb:origin": component.origin["origin"],
        "deb:build": str(build["build"]) if build else "",
        "deb:buildinfo": build["buildinfo"]["sha256"] if build and build["buildinfo"] else "",
    }
    made: dict[str, Any] = {
        "type": "library", "bom-ref": component.purl(suite), "name": package.name, "version": package.version,
        "purl": component.purl(suite), "hashes": [{"alg": "SHA-256", "content": package.sha256}],
        "properties": [{"name": name, "value": value} for name, value in properties.items() if value],
    }  # fmt: skip
    if component.supplier:
        made["supplier"] = {"name": component.supplier}
    if component.website:
        made["externalReferences"] = [{"type": "website", "url": component.website}]
    return made


def spdx(subject: Subject, components: Sequence[Component], *, tool_version: str) -> dict[str, Any]:
    image = "SPDXRef-image"
    checksum = [{"algorithm": "SHA256", "checksumValue": subject.digest.removeprefix("sha256:")}]
    first = {
        "SPDXID": image, "name": subject.name, "versionInfo": subject.version, "downloadLocation": NONE,
        "filesAnalyzed": False, "primaryPackagePurpose": "OPERATING_SYSTEM", **_no_licence(),
        **({"checksums": checksum} if subject.digest else {}),
    }  # fmt: skip
    contains = [
        {"spdxElementId": image, "relationshipType": "CONTAINS", "relatedSpdxElement": spdx_id(component.package)}
        for component in components
    ]
    describes = {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": image}
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{subject.name} {subject.version}",
        "documentNamespace": f"urn:uuid:{subject.uuid}",
        "creationInfo": {"created": subject.created, "creators": [f"Tool: {TOOL}-{tool_version}"]},
        "packages": [first, *(_spdx_package(component, subject.suite) for component in components)],
        "relationships": [describes, *contains],
    }


def spdx_id(package: LockedPackage) -> str:
    """Letters, digits, dots and dashes; the hash keeps apart what then looks alike."""
    return f"SPDXRef-deb-{re.sub('[^A-Za-z0-9.-]', '-', package.name)}-{package.arch}-{package.sha256[:12]}"


def _spdx_package(component: Component, suite: str) -> dict[str, Any]:
    package = component.package
    uri = package.uri or ""
    purl = {
        "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": component.purl(suite)
    }  # fmt: skip
    return {
        "SPDXID": spdx_id(package), "name": package.name, "versionInfo": package.version,
        "supplier": f"Organization: {component.supplier}" if component.supplier else NONE,
        "downloadLocation": uri if _is_lasting(component, uri) else NONE,
        "filesAnalyzed": False, "sourceInfo": f"built from source: {component.source}",
        "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}], "externalRefs": [purl],
        **_no_licence(), **({"homepage": component.website} if component.website else {}),
    }  # fmt: skip


def _is_lasting(component: Component, uri: str) -> bool:
    """A hub's address may change from start to start; credentials are nobody's business."""
    return component.origin["origin"] == "archive" and re.fullmatch(r"https?://[A-Za-z0-9._:/%+~-]+", uri) is not None


def _no_licence() -> dict[str, str]:
    """Not judged here: /usr/share/doc/PACKAGE/copyright is in the image."""
    return {"licenseConcluded": NONE, "licenseDeclared": NONE, "copyrightText": NONE}


def statement(
    subject: Subject, components: Sequence[Component], *, compose_id: str, releases: Mapping[str, str],
    hub: Mapping[str, Any] | None, lock_sha256: str, tool_version: str,
) -> dict[str, Any]:  # fmt: skip
    """in-toto: the outputs, and every .deb with the record of its build."""
    name, _, arch = subject.key.rpartition(".")
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": list(_subjects(subject)),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"variant": name, "architecture": arch, "suite": subject.suite},
                "internalParameters": {"version": subject.version, "lock": subject.lock, "hub": hub},
                "resolvedDependencies": [
                    *({"name": key, "digest": {"sha256": digest}} for key, digest in sorted(releases.items())),
                    *(_dependency(component, subject.suite) for component in components),
                ],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {TOOL: tool_version}},
                "metadata": {"invocationId": compose_id},
                "byproducts": [{"name": "lock.json", "digest": {"sha256": lock_sha256}}],
            },
        },
    }


def _subjects(subject: Subject) -> Iterable[dict[str, Any]]:
    """OSTree's commit checksum is the SHA-256 of the commit object."""
    if subject.digest:
        yield {"name": subject.name, "digest": {"sha256": subject.digest.removeprefix("sha256:")}}
    if subject.commit:
        yield {"name": "ostree-commit", "digest": {"sha256": subject.commit}}
    for name, sha256 in subject.disks:
        yield {"name": name, "digest": {"sha256": sha256}}


def _dependency(component: Component, suite: str) -> dict[str, Any]:
    return {
        "name": component.package.name, "uri": component.purl(suite), "digest": {"sha256": component.package.sha256},
        "annotations": dict(component.origin),
    }  # fmt: skip
