"""Files of two images, out of the layers that differ; and the page of a difference."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner

from deb_bootc_compose.cli import group
from deb_bootc_compose.compare import text
from deb_bootc_compose.compare.changelog import Entry
from deb_bootc_compose.compare.composes import Side, compare, load_side
from deb_bootc_compose.compare.files import compare_layouts
from deb_bootc_compose.compare.packages import compare_sizes
from deb_bootc_compose.report.difference import make_page
from debcore.errors import Failure
from tests.unit.deb_bootc_compose.report.test_report import EVIL
from tests.unit.deb_bootc_compose.report.world import KEY, locked, look, make_compose, make_lock

#: name → content; "-> x" is a link, "= x" a hard link, None a directory
Tree = Mapping[str, bytes | str | None]


def make_tar(tree: Tree) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in tree.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                kind, _, member.linkname = content.partition(" ")
                member.type = tarfile.SYMTYPE if kind == "->" else tarfile.LNKTYPE
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def add_layer(layout: Path, name: str, tree: Tree, *, packer: str = "zstd") -> Mapping[str, Any]:
    plain = make_tar(tree)
    packed = zstandard.ZstdCompressor().compress(plain) if packer == "zstd" else gzip.compress(plain, mtime=0)
    digest = hashlib.sha256(packed).hexdigest()
    path = layout / "blobs/sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    return {"name": name, "digest": digest, "size": len(packed)}


def cpio(files: Mapping[str, bytes]) -> bytes:
    """newc. Source: cpio(5)."""
    out = b""
    for name, content in [*files.items(), ("TRAILER!!!", b"")]:
        fields = [0] * 6 + [len(content), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + "".join(f"{field:08X}" for field in fields).encode() + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + content
        out += b"\0" * (-len(out) % 4)
    return out


INITRD = "usr/lib/modules/6.12/initramfs.img"


def layouts(tmp_path: Path) -> tuple[Path, list[Mapping[str, Any]], Path, list[Mapping[str, Any]]]:
    a, b = tmp_path / "a", tmp_path / "b"
    early = cpio({"early": b"microcode"})
    shared: Tree = {"usr": None, "usr/shared": b"same"}
    before: Tree = {
        "usr": None, "usr/kept": b"kept", "usr/grown": b"1", "usr/gone": b"12345", "usr/link": "-> kept",
        "usr/hard": "= usr/kept",
    }  # fmt: skip
    after: Tree = {
        "usr": None, "usr/kept": b"kept", "usr/grown": b"123", "usr/new": b"12", "usr/link": "-> new",
        "usr/hard": "= usr/kept",
    }  # fmt: skip
    old = early + gzip.compress(cpio({"init": b"a", "gone": b"x", "same": b"s"}))
    new = early + zstandard.ZstdCompressor().compress(cpio({"init": b"abc", "same": b"s"}))
    first = [add_layer(a, "shared", shared), add_layer(a, "x", before), add_layer(a, "initramfs", {INITRD: old})]
    second = [
        add_layer(b, "shared", shared), add_layer(b, "x", after, packer="gzip"),
        add_layer(b, "initramfs", {INITRD: new}),
    ]  # fmt: skip
    return a, first, b, second


def shown(changes: Sequence[Any]) -> list[tuple[str, str, int]]:
    return [(change.path, change.kind, change.growth) for change in changes]


def test_files_of_layers_that_differ(tmp_path: Path) -> None:
    a, first, b, second = layouts(tmp_path)
    (a / "blobs/sha256" / first[0]["digest"]).unlink()  # both have it: it is not read
    changes = compare_layouts(a, first, b, second)
    assert [one for one in shown(changes.files) if one[0] != INITRD] == [
        ("usr/gone", "removed", -5), ("usr/grown", "changed", 2), ("usr/link", "changed", 0), ("usr/new", "added", 2),
    ]  # fmt: skip
    assert changes.initramfs is not None
    assert shown(changes.initramfs) == [("gone", "removed", -1), ("init", "changed", 2)]


def test_the_same_layers_have_no_changes(tmp_path: Path) -> None:
    a, first, _, _ = layouts(tmp_path)
    changes = compare_layouts(a, first, a, first)
    assert (changes.files, changes.initramfs) == ((), None)


def test_an_initramfs_that_is_no_archive_is_one_file(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    changes = compare_layouts(a, [add_layer(a, "i", {INITRD: b"junk"})], b, [add_layer(b, "i", {INITRD: b"other"})])
    assert shown(changes.files) == [(INITRD, "changed", 1)]
    assert changes.initramfs is None


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8bxx", b"\x28\xb5\x2f\xfd", b"junk" * 300])
def test_a_damaged_layer_is_said(tmp_path: Path, damage: bytes) -> None:
    a, first, b, second = layouts(tmp_path)
    (b / "blobs/sha256" / second[1]["digest"]).write_bytes(damage)
    with pytest.raises(Failure, match="cannot be read"):
        compare_layouts(a, first, b, second)


def test_a_digest_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(zstandard.ZstdCompressor().compress(make_tar({"x": b""})))
    with pytest.raises(Failure, match="is no digest"):
        compare_layouts(tmp_path, [{"digest": "../../secret"}], tmp_path, [])


def test_sizes_by_package() -> None:
    sizes = compare_sizes({"a": 5, "b": 9, "same": 1}, {"a": 6, "c": 3, "same": 1})
    assert [(one.name, one.growth) for one in sizes] == [("b", -9), ("c", 3), ("a", 1)]


def sides(tmp_path: Path) -> tuple[Side, Side]:
    a, first, b, second = layouts(tmp_path)
    old, new = make_lock(locked("x", "1", size=10)), make_lock(locked("x", "2", size=30), locked(EVIL, size=5))
    return Side("A-1", old, {KEY: first}, {KEY: a}), Side(EVIL, new, {KEY: second}, {KEY: b})


def test_the_page_shows_it_all_and_is_inert(tmp_path: Path) -> None:
    made = compare(*sides(tmp_path), None, files=True)
    told = Entry("2", "high", (EVIL, "Closes: #12"))
    variant = replace(made.variants[0], changelogs={"x": (replace(told, lines=(*told.lines, "CVE-2026-1234")),)})
    seen = look(make_page(replace(made, variants=(variant,), only=(EVIL,))))
    assert "<script>alert(1)</script>" in seen.text
    assert seen.targets == [
        "https://security-tracker.debian.org/tracker/CVE-2026-1234", "https://bugs.debian.org/12",
    ]  # fmt: skip
    for said in ("A-1", "usr/grown", "usr/gone", "init", "+25 B of .debs in all", "2 of 3 layers are new"):
        assert said in seen.text, said


def test_installed_sizes_are_compared_where_both_sides_have_all(tmp_path: Path) -> None:
    before, after = sides(tmp_path)
    known = {p.sha256: 100 for side in (before, after) for p in side.lock.variants[KEY].installed.values()}
    first = compare(replace(before, installed=known), replace(after, installed=known), None).variants[0]
    assert [(one.name, one.growth) for one in first.sizes] == [(EVIL, 100)]
    assert first.sizes_installed
    assert not compare(replace(before, installed=known), after, None).variants[0].sizes_installed


def test_in_the_terminal_and_as_a_document(tmp_path: Path) -> None:
    made = compare(*sides(tmp_path), None, files=True)
    lines = list(text.lines(made))
    assert any(line.startswith("  files: 3 changed, 1 added, 1 removed") for line in lines)
    assert "  initramfs: 1 changed, 1 removed, +0.0 MB" in lines
    document = json.loads(json.dumps(text.document(made)))["variants"][KEY]
    assert {"path": "gone", "change": "removed", "before": 1, "after": None} in document["initramfs"]
    assert {"name": "x", "before": 10, "after": 30} in document["sizes"]
    plain = json.loads(json.dumps(text.document(compare(*sides(tmp_path), None))))["variants"][KEY]
    assert (plain["files"], plain["initramfs"]) == (None, None)


def test_the_verb_writes_a_page_of_two_composes(tmp_path: Path) -> None:
    composes = []
    for name, content in (("one", b"1"), ("two", b"22")):
        compose = make_compose(tmp_path / name)
        layer = add_layer(compose.output / "server/amd64/oci", "files", {"usr/file": content})
        image = {"digest": "sha256:x", "path": "compose/server/amd64/oci", "layers": [layer]}
        (compose.metadata / "layers.json").write_text(json.dumps({"payload": {"layers": {KEY: image}}}))
        composes.append(str(compose.path))
    assert load_side(composes[0], []).layouts
    out = tmp_path / "diff.html"
    argv = ["diff", *composes, "--no-changelogs", "--html"]
    assert CliRunner().invoke(group, [*argv, str(out)], catch_exceptions=False).output == f"{out}\n"
    assert "usr/file" in look(out.read_text()).text
    assert CliRunner().invoke(group, [*argv, "-"], catch_exceptions=False).output == out.read_text()
    assert CliRunner().invoke(group, [*argv, "-", "--json"]).exit_code == 2
    told = CliRunner().invoke(group, ["diff", *composes, "--no-changelogs", "--no-files", "--json"])
    assert json.loads(told.output)["variants"][KEY]["files"] is None
