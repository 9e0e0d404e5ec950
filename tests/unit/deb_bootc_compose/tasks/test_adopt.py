"""What an earlier compose left is taken if it is whole, and refused if one bit of it is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deb_bootc_compose.disk.fingerprint import fingerprint
from deb_bootc_compose.tasks import container, image
from debcore.errors import Failure


def task(path: Path) -> Any:
    """All of a Task that is used."""
    path.mkdir()
    return SimpleNamespace(compose=SimpleNamespace(path=path), say=lambda _text: None)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_images(tmp_path: Path) -> None:
    disk = tmp_path / "old/compose/images/a.raw"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(bytes(5_000_000) + b"content" + bytes(5_000_000))
    value = {"images": [{"path": "compose/images/a.raw", "fingerprint": fingerprint(disk)}]}
    found = {"path": str(tmp_path / "old"), "result": {"value": value, "files": [{"path": "compose/images/a.raw"}]}}
    done = image.adopt(task(tmp_path / "new"), found)
    assert (done.value, done.files) == (value, ("compose/images/a.raw",))
    assert (tmp_path / "new/compose/images/a.raw").samefile(disk)
    flip(disk)
    with pytest.raises(Failure, match=r"a\.raw is damaged there"):
        image.adopt(task(tmp_path / "newer"), found)
    assert not (tmp_path / "newer/compose/images/a.raw").exists()


def test_layouts(tmp_path: Path) -> None:
    blobs = tmp_path / "old/oci/blobs/sha256"
    blobs.mkdir(parents=True)
    names = [hashlib.sha256(content).hexdigest() for content in (b"manifest", b"layer")]
    for name, content in zip(names, (b"manifest", b"layer"), strict=True):
        (blobs / name).write_bytes(content)
    index = {"manifests": [{"digest": f"sha256:{names[0]}", "annotations": {container.REF_NAME: "13"}}]}
    (tmp_path / "old/oci/index.json").write_text(json.dumps(index))
    value = {"path": "oci", "digest": f"sha256:{names[0]}"}
    found = {"path": str(tmp_path / "old"), "result": {"value": value, "files": [{"path": "oci/index.json"}]}}
    assert container.adopt(task(tmp_path / "new"), found).value == value
    assert container.REF_NAME not in (tmp_path / "new/oci/index.json").read_text(), "tags come when it is published"
    flip(blobs / names[1])
    with pytest.raises(Failure, match=f"{names[1][:12]} of the layout is damaged there"):
        container.adopt(task(tmp_path / "newer"), found)
