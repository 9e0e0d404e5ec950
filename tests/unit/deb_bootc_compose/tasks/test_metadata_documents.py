"""Metadata that productmd loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import productmd.composeinfo
import productmd.images
import pytest

from deb_bootc_compose import metadata
from deb_bootc_compose.lock import Lock, LockedPackage, LockedVariant

RELEASE = {"name": "Example", "short": "Example", "version": "13", "type": "ga"}
KIND = {"type": "nightly", "label": None}
VARIANTS = {
    "edge-server.amd64": {"name": "edge-server", "arch": "amd64", "ref": "r"},
    "edge-server.ppc64el": {"name": "edge-server", "arch": "ppc64el", "ref": "r"},
}
ID = "Example-13-20261122.n.4"


def write(path: Path, document: dict[str, Any]) -> str:
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize("label", [None, "RC-1.2"])
def test_composeinfo_is_loaded(tmp_path: Path, label: str | None) -> None:
    made = metadata.composeinfo(ID, RELEASE, {"type": "nightly", "label": label}, VARIANTS)
    info = productmd.composeinfo.ComposeInfo()
    info.load(write(tmp_path / "composeinfo.json", made))
    assert (info.compose.id, info.compose.respin, info.compose.label) == (ID, 4, label)
    assert info.variants["EdgeServer"].arches == {"amd64", "ppc64le"}


def test_images_are_loaded(tmp_path: Path) -> None:
    disks = {
        "edge-server.amd64": [
            {"path": "compose/edge-server/amd64/images/x.raw", "size": 9, "sha256": "a" * 64, "type": "raw"},
            {"path": "compose/edge-server/amd64/images/x.qcow2", "size": 5, "sha256": "b" * 64, "type": "qcow2"},
            {"path": "compose/edge-server/amd64/images/x.vmdk", "size": 5, "sha256": "1" * 64, "type": "vmdk"},
            {"path": "compose/edge-server/amd64/images/x.vhd", "size": 5, "sha256": "2" * 64, "type": "vhd"},
        ]
    }
    containers = {
        "edge-server.amd64": {"path": "compose/edge-server/amd64/oci", "size": 7, "digest": "sha256:" + "c" * 64}
    }
    made = metadata.images(ID, KIND, VARIANTS, disks, containers, mtime=1)
    images = productmd.images.Images()
    images.load(write(tmp_path / "images.json", made))
    images.dump(str(tmp_path / "again.json"))  # which checks every type and format
    found = {image.type: image for image in images.images["EdgeServer"]["amd64"]}
    assert set(found) == {"raw", "qcow2", "vmdk", "vpc", "bootable-container"}
    assert found["vpc"].format == "vhd"
    assert found["bootable-container"].checksums == {"sha256": "c" * 64}
    assert found["raw"].path == "edge-server/amd64/images/x.raw"


def test_debs_stand_below_their_source() -> None:
    def locked(name: str, source: str | None = None) -> LockedPackage:
        return LockedPackage(name=name, version="1", arch="amd64", sha256="d" * 64, source=source)

    variant = LockedVariant(asked=(), base=(locked("libc6", "glibc"),), archive=(), hub=(locked("agent"),))
    lock = Lock(suite="trixie", timestamp=0, version="1", releases={}, variants={"edge-server.amd64": variant})
    one = {"edge-server.amd64": VARIANTS["edge-server.amd64"]}
    debs = metadata.debs(ID, KIND, lock, one)["payload"]["debs"]["edge-server"]["amd64"]
    assert debs["glibc_1"]["libc6_1_amd64"]["origin"] == "archive"
    assert debs["agent_1"]["agent_1_amd64"]["origin"] == "hub"


def test_checksums_leave_out_what_checks_itself(tmp_path: Path) -> None:
    for name in ("b/repo/object", "b/file", "a", "SHA256SUMS"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = dict(metadata.checksums(tmp_path, leave_out=("repo",), known={"a": "known"}))
    assert list(found) == ["a", "b/file"]
    assert found["a"] == "known"
