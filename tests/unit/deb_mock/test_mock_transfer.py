"""What goes into a root and what comes out of it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from deb_mock.buildtype import TYPES
from deb_mock.collect import changes_name, parse_changes
from deb_mock.dsc import Dsc
from deb_mock.transfer import feeding, read_files_tar, write_files_tar, write_tree_tar
from debcore.errors import BuildFailed, Failure


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def test_a_tree_goes_in_without_version_control_and_devices(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / ".git").mkdir(parents=True)
    (tree / ".git" / "config").write_text("x")
    (tree / "debian").mkdir()
    rules = tree / "debian" / "rules"
    rules.write_text("#!/usr/bin/make -f\n")
    rules.chmod(0o755)
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "pipe")
    stream = io.BytesIO()
    write_tree_tar(tree, "x-1", stream)
    found = members(stream.getvalue())
    assert set(found) == {"x-1", "x-1/debian", "x-1/debian/rules", "x-1/link"}
    assert found["x-1/debian/rules"].mode == 0o755
    assert found["x-1/link"].linkname == "/etc/passwd"


def test_only_plain_files_with_plain_names_come_out(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in ("good.deb", "../evil", "/etc/evil", "sub/evil", ".evil"):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"data"))
        link = tarfile.TarInfo("link.deb")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    stream.seek(0)
    target = tmp_path / "out"
    target.mkdir()
    assert read_files_tar(stream, target) == ["good.deb"]
    assert [path.name for path in target.iterdir()] == ["good.deb"]
    assert not (tmp_path / "evil").exists()


def test_results_above_the_limit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 100)
    stream = io.BytesIO()
    write_files_tar({"big.deb": tmp_path / "big"}, stream)
    stream.seek(0)
    with pytest.raises(Failure, match="more than 50 bytes"):
        read_files_tar(stream, tmp_path, limit=50)


def test_an_error_while_feeding_is_not_lost(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError),
        feeding(lambda stream: write_files_tar({"x": tmp_path / "missing"}, stream)) as fd,
    ):
        os.read(fd, 10)


def test_a_reader_that_ends_early_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    with feeding(lambda stream: write_files_tar({"x": tmp_path / "big"}, stream)) as fd:
        os.read(fd, 10)


DSC = Dsc(
    path=Path("x_1.dsc"), name="x_1.dsc", source="hello", version="1.0", format="3.0 (native)",
    architectures=("any",), files=(), fields={}, signed=False,
)  # fmt: skip


def changes(name: str, *, source: str = "hello (1.0)") -> bytes:
    return f"Source: {source}\nVersion: 1.0\nChecksums-Sha256:\n {'0' * 64} 3 {name}\n".encode()


@pytest.mark.parametrize(
    "name", ["hello_1.0_amd64.deb", "lib-x+y_1.2-3+b1_arm64.deb", "hello_1.0.tar.xz", "a9_1~b+c_all.udeb"]
)
def test_files_of_packages_are_results(name: str) -> None:
    assert list(parse_changes(changes(name), dsc=DSC, name="c")) == [name]


@pytest.mark.parametrize("name", ["result.json", "build.log", "../x_1.deb", "job.json", "events.jsonl", "a/b_1.deb"])
def test_a_changes_cannot_name_the_jobs_own_files(name: str) -> None:
    with pytest.raises(BuildFailed, match="no name of a package's file"):
        parse_changes(changes(name), dsc=DSC, name="c")


def test_a_changes_of_another_source_is_refused() -> None:
    with pytest.raises(BuildFailed, match="is for other"):
        parse_changes(changes("hello_1.0_all.deb", source="other"), dsc=DSC, name="c")


@pytest.mark.parametrize(
    ("kind", "arch"), [("binary", "amd64"), ("any", "amd64"), ("all", "all"), ("source", "source")]
)
def test_the_changes_is_named_as_dpkg_does(kind: str, arch: str) -> None:
    assert changes_name(DSC, TYPES[kind], "amd64") == f"hello_1.0_{arch}.changes"
