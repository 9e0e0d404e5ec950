"""Layers of a base that a stranger made: nothing outside of the tree is written, linked or removed."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from deb_bootc_compose.derive.inside import apply_layer
from deb_bootc_compose.oci.importer import read_blob
from debcore.errors import Failure


def layer(*members: tuple[str, bytes, str]) -> tarfile.TarFile:
    """Of (name, type, link)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, link, 0o755
            info.uid, info.gid = os.geteuid(), os.getegid()
            tar.addfile(info)
    data.seek(0)
    return tarfile.open(fileobj=data)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/kept").write_text("kept")
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


@pytest.mark.parametrize(
    "name",
    [".wh...", "a/.wh...", "./.wh..", ".wh.", "../x", "a/../../x", "../.wh.kept", "../beside/.wh..wh..opq", "a/./x"],
)
def test_a_name_that_leaves_the_tree_is_refused_before_anything_is_removed(tree: Path, name: str) -> None:
    (tree / "a").mkdir()
    with pytest.raises(Failure, match="has the name"):
        apply_layer(layer((".wh.a", tarfile.REGTYPE, ""), (name, tarfile.REGTYPE, "")), tree)
    assert (tree / "a").is_dir()
    assert (tree.parent / "beside/kept").read_text() == "kept"


def test_links_are_followed_inside_the_tree_only(tree: Path) -> None:
    (tree / "link").symlink_to(tree.parent / "beside")
    apply_layer(layer(("link/.wh.kept", tarfile.REGTYPE, ""), ("link/.wh..wh..opq", tarfile.REGTYPE, "")), tree)
    assert (tree.parent / "beside/kept").read_text() == "kept"


def test_a_hard_link_to_a_link_is_that_link(tree: Path) -> None:
    (tree / "link").symlink_to(tree.parent / "beside/kept")
    apply_layer(layer(("hard", tarfile.LNKTYPE, "link")), tree)
    assert (tree / "hard").is_symlink()


def test_what_a_layer_hides_goes(tree: Path) -> None:
    for name in ("a/x", "b/y", "b/z"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).touch()
    hides = [
        ("a/.wh.x", tarfile.REGTYPE, ""),
        ("b/.wh..wh..opq", tarfile.REGTYPE, ""),
        ("new/.wh..wh..opq", tarfile.REGTYPE, ""),
    ]
    apply_layer(layer(*hides, ("./b/z", tarfile.DIRTYPE, "")), tree)
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == ["a", "b", "b/z"]


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "md5:00", "sha256:" + "A" * 64])
def test_a_blob_is_named_by_a_digest_only(tree: Path, digest: str) -> None:
    with pytest.raises(Failure, match="no sha256 digest"):
        read_blob(tree, digest)
