"""tar bytes, layer plans and layouts of small trees."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from deb_bootc_compose import gvariant
from deb_bootc_compose.oci.image import ImageConfig, make_annotations, make_config
from deb_bootc_compose.oci.importer import map_name, rewrite, unpack
from deb_bootc_compose.oci.index import Part, make_index
from deb_bootc_compose.oci.tar import END, Member, make_record, write_member
from deb_bootc_compose.oci.writer import write
from debcore.errors import Failure


def make_tar(*members: tuple[Member, bytes]) -> bytes:
    sink = io.BytesIO()
    for member, content in members:
        write_member(sink, member, io.BytesIO(content))
    sink.write(END)
    return sink.getvalue()


def member(name: bytes, content: bytes = b"", **more: Any) -> tuple[Member, bytes]:
    return Member(**{"name": name, "kind": b"0", "mode": 0o644, "size": len(content), **more}), content


def test_other_programs_read_our_tar() -> None:
    long = b"usr/share/" + b"x" * 200
    data = make_tar(
        member(b"usr", kind=b"5", mode=0o755),
        member(b"usr/bin/su", b"ELF", mode=0o4755, uid=0, gid=42),
        member(long, b"content"),
        member(b"usr/l", kind=b"2", mode=0o777, target=b"../" + b"y" * 150),
        member(b"usr/h", kind=b"1", target=b"usr/bin/su"),
        member("usr/ő".encode(), b"", uid=4_000_000),
        member(b"usr/bin/ping", b"ELF", xattrs={"security.capability": b"\x01\0\0\x02\n=\xff"}),
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {info.name: info for info in tar}
        assert list(found) == ["usr", "usr/bin/su", long.decode(), "usr/l", "usr/h", "usr/ő", "usr/bin/ping"]
        assert (found["usr/bin/su"].mode, found["usr/bin/su"].gid, found["usr/bin/su"].mtime) == (0o4755, 42, 0)
        assert found["usr/l"].linkname == "../" + "y" * 150
        assert found["usr/h"].islnk()
        assert found["usr/ő"].uid == 4_000_000
        content = tar.extractfile(found[long.decode()])
        assert content is not None
        assert content.read() == b"content"
        value = found["usr/bin/ping"].pax_headers["SCHILY.xattr.security.capability"]
        assert value.encode("utf-8", "surrogateescape") == b"\x01\0\0\x02\n=\xff"


@pytest.mark.parametrize("size", [1, 90, 91, 92, 93, 94, 95, 96, 989, 990, 991, 992])
def test_a_pax_record_counts_its_own_length(size: int) -> None:
    record = make_record("k", b"v" * size)
    assert int(record.split(b" ")[0]) == len(record)


def test_a_file_that_shrinks_is_an_error() -> None:
    with pytest.raises(EOFError):
        write_member(io.BytesIO(), Member(name=b"a", kind=b"0", mode=0o644, size=10), io.BytesIO(b"short"))


def make_tree(root: Path) -> Path:
    for name in ("etc", "usr/bin", "usr/share/empty", "var", "run", "usr/lib/modules/1"):
        (root / name).mkdir(parents=True)
    (root / "etc/motd").write_text("hello")
    (root / "usr/bin/a").write_text("A")
    (root / "usr/bin/a").chmod(0o755)
    os.link(root / "usr/bin/a", root / "usr/bin/b")
    (root / "bin").symlink_to("usr/bin")
    (root / "run/leftover").write_text("x")
    (root / "usr/lib/modules/1/vmlinuz").write_text("k")
    return root


def write_small(
    tree: Path, out: Path, compression: str = "gzip", *, arch: str = "amd64", previous: dict[str, Any] | None = None
) -> dict[str, Any]:
    out.mkdir()
    return write(
        config=make_config(ImageConfig(version="1", timestamp=0), arch), annotations={}, tag="t",
        compression=compression, max_layers=64, previous=previous or {}, tree=str(tree), out=str(out),
    )  # fmt: skip


def unpack_zstd(data: bytes) -> bytes:
    """One frame and nothing else: what zstd:chunked appends would be left over."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    plain = decompressor.decompress(data)
    assert decompressor.eof
    assert decompressor.unused_data == b""
    return plain


@pytest.mark.parametrize(("compression", "unpack_layer"), [("gzip", gzip.decompress), ("zstd", unpack_zstd)])
def test_a_layout_is_whole_and_the_same_each_time(
    tmp_path: Path, compression: str, unpack_layer: Callable[[bytes], bytes]
) -> None:
    tree = make_tree(tmp_path / "tree")
    made = write_small(tree, tmp_path / "one", compression)
    for path in tree.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert write_small(tree, tmp_path / "two", compression)["digest"] == made["digest"]
    blobs = tmp_path / "one/blobs/sha256"
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name for blob in blobs.iterdir())
    manifest = json.loads((blobs / made["digest"]).read_bytes())
    config = json.loads((blobs / made["config"]).read_bytes())
    types = {layer["mediaType"] for layer in manifest["layers"]}
    assert types == {f"application/vnd.oci.image.layer.v1.tar+{compression}"}
    assert not any("annotations" in layer for layer in manifest["layers"])
    plain = [unpack_layer((blobs / layer["digest"].split(":")[1]).read_bytes()) for layer in manifest["layers"]]
    assert [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in plain] == config["rootfs"]["diff_ids"]
    assert len({layer["digest"] for layer in manifest["layers"]}) == len(manifest["layers"])
    names: list[str] = []
    for data in plain:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            infos = list(tar)
        assert [i.name for i in infos] == sorted(i.name for i in infos)
        assert all(i.mtime == 0 and not i.uname and not set(i.pax_headers) & {"atime", "ctime"} for i in infos)
        names += [i.name for i in infos]
    assert {"bin", "etc/motd", "usr/bin/a", "usr/bin/b", "usr/share/empty", "var", "run"} <= set(names)
    assert "run/leftover" not in names


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_the_importer_unpacks_what_the_writer_packed(tmp_path: Path, compression: str) -> None:
    made = write_small(make_tree(tmp_path / "tree"), tmp_path / "out", compression)
    for layer in made["layers"]:
        unpack(tmp_path / "out/blobs/sha256" / layer["digest"], layer["media_type"], tmp_path / "plain")
        assert hashlib.sha256((tmp_path / "plain").read_bytes()).hexdigest() == layer["diff_id"]


def test_layers_that_were_packed_otherwise_are_packed_anew(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    before = write_small(tree, tmp_path / "one", "gzip")
    after = write_small(tree, tmp_path / "two", "zstd", previous=before)
    assert not any(layer["reused"] for layer in after["layers"])
    assert {layer["media_type"].rpartition("+")[2] for layer in after["layers"]} == {"zstd"}


def two_parts(tmp_path: Path) -> list[Part]:
    parts = []
    for arch in ("arm64", "amd64"):
        tree = make_tree(tmp_path / f"tree-{arch}")
        (tree / "etc/arch").write_text(arch)
        made = write_small(tree, tmp_path / arch, "zstd", arch=arch)
        parts.append(Part(arch, tmp_path / arch, f"sha256:{made['digest']}"))
    return parts


def test_an_index_names_the_image_of_each_architecture(tmp_path: Path) -> None:
    parts = two_parts(tmp_path)
    made = make_index(parts, tmp_path / "oci", tags=["13", "latest"])
    top = json.loads((made.layout / "index.json").read_bytes())["manifests"]
    assert [one["annotations"]["org.opencontainers.image.ref.name"] for one in top] == ["13", "latest"]
    assert {one["digest"] for one in top} == {made.digest}
    blobs = made.layout / "blobs/sha256"
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name for blob in blobs.iterdir())
    index = json.loads((blobs / made.digest.removeprefix("sha256:")).read_bytes())
    assert index["mediaType"] == top[0]["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert [one["platform"] for one in index["manifests"]] == [
        {"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]  # fmt: skip
    assert all(one["annotations"] == {"io.github.containers.compression.zstd": "true"} for one in index["manifests"])
    for one, part in zip(index["manifests"], reversed(parts), strict=True):
        manifest = blobs / one["digest"].removeprefix("sha256:")
        assert (one["digest"], one["size"]) == (part.digest, manifest.stat().st_size)
        layers = [layer["digest"].removeprefix("sha256:") for layer in json.loads(manifest.read_bytes())["layers"]]
        assert all((blobs / layer).stat().st_nlink > 1 for layer in layers), "blobs are linked, not copied"
    again = make_index(parts[::-1], tmp_path / "oci", tags=[])  # in place of the first
    assert again.digest == made.digest
    assert "annotations" not in json.loads((again.layout / "index.json").read_bytes())["manifests"][0]


def test_an_index_of_damaged_or_equal_images_is_refused(tmp_path: Path) -> None:
    arm, amd = two_parts(tmp_path)
    with pytest.raises(Failure, match="of one platform"):
        make_index([amd, Part("arm64", amd.layout, amd.digest)], tmp_path / "oci", tags=[])
    blob = arm.layout / "blobs/sha256" / arm.digest.removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes() + b" ")
    with pytest.raises(Failure, match="is damaged"):
        make_index([amd, arm], tmp_path / "oci", tags=[])
    assert not (tmp_path / "oci").exists()


def test_the_config_says_what_bootc_looks_for() -> None:
    config = ImageConfig(version="13.1", timestamp=86400, title="Server", labels={"a": "b"})
    made = make_config(config, "arm64")
    labels = made["config"]["Labels"]
    assert labels["containers.bootc"] == "1"
    assert labels["ostree.bootable"] == "true"
    assert labels["a"] == "b"
    assert (made["architecture"], made["variant"], made["created"]) == ("arm64", "v8", "1970-01-02T00:00:00Z")
    assert make_annotations(config)["org.opencontainers.image.version"] == "13.1"
    with pytest.raises(Failure, match="no name for the architecture"):
        make_config(config, "hurd-i386")


@pytest.mark.parametrize("label", ["ostree.final-diffid", "ostree.commit"])
def test_labels_of_encapsulated_images_are_refused(label: str) -> None:
    with pytest.raises(Failure, match=label):
        ImageConfig(version="1", timestamp=0, labels={label: "x"})


@pytest.mark.parametrize(
    ("name", "mapped"),
    [
        ("./etc/motd", "usr/etc/motd"),
        ("etc", "usr/etc"),
        ("usr/bin/a", "usr/bin/a"),
        ("run", "run"),
        ("run/lock", None),
        ("dev/null", None),
        ("var/lib/x", "var/lib/x"),
        ("./", None),
    ],
)
def test_the_importer_moves_and_drops_as_bootc_does(name: str, mapped: str | None) -> None:
    assert map_name(name) == mapped


def test_the_importer_refuses_device_nodes() -> None:
    with pytest.raises(Failure, match="device node"):
        rewrite(io.BytesIO(make_tar(member(b"usr/null", kind=b"3"))), io.BytesIO())


def test_the_importer_keeps_links_and_attributes() -> None:
    sink = io.BytesIO()
    capability = {"security.capability": b"\x01\0\xff"}
    data = make_tar(member(b"etc/a", b"x", xattrs=capability), member(b"etc/b", kind=b"1", target=b"etc/a"))
    rewrite(io.BytesIO(data), sink)
    assert sink.getvalue() == make_tar(
        member(b"usr/etc/a", b"x", xattrs=capability), member(b"usr/etc/b", kind=b"1", target=b"usr/etc/a")
    )


def test_signatures_are_serialised_as_the_specification_says() -> None:
    """{"ostree.gpgsigs": <[b"abc"]>}, laid out by hand; that ostree reads it, a real commit shows."""
    assert gvariant.signatures_metadata([b"abc"]) == b"ostree.gpgsigs\0\0abc\x03\0aay\x0f\x19"
    long = gvariant.signatures_metadata([b"s" * 300])
    assert long.endswith((15).to_bytes(2, "little") + (len(long) - 2).to_bytes(2, "little"))
