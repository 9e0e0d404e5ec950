"""Trees with names and files of every kind, through lints, writer and importer: faithful, or refused in clear words."""

from __future__ import annotations

import json
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deb_bootc_compose.lints.model import Root
from deb_bootc_compose.lints.registry import run_lints
from deb_bootc_compose.oci.image import ImageConfig, make_config
from deb_bootc_compose.oci.importer import unpack
from deb_bootc_compose.oci.writer import write
from deb_bootc_compose.tree import files
from debcore.command import run
from debcore.errors import Failure

QUICK = settings(
    max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
#: Parts of names that somebody could trip over.
ODD = (
    b"\n", b"\r", b"\t", b" ", b"\x1b[2J", b"\xff\xfe", b"\xc3\xbc", b"\xe2\x80\xae", b"\\", b"\\x20", b"'", b'"',
    b"$(x)", b"%", b"-n", b"--", b"*", b"=", b":", b",", b"~", b"#", b".wh.", b".wh..wh..opq", b"..x", b"x" * 200,
    b"\x7f", b"PaxHeaders",
)  # fmt: skip
NAMES = st.lists(st.sampled_from(ODD) | st.binary(min_size=1, max_size=3), min_size=1, max_size=3).map(
    lambda parts: b"".join(parts).replace(b"/", b"").replace(b"\0", b"")[:250]
).filter(lambda name: name not in (b"", b".", b".."))  # fmt: skip
#: (path below usr/, kind, mode, what a link or file holds)
PLANTS = st.tuples(
    st.lists(NAMES, min_size=1, max_size=3), st.sampled_from(["file", "link", "hard", "directory"]),
    st.sampled_from([0o644, 0o755, 0o4755, 0o2755, 0o1777, 0o000]),
    NAMES | st.just(b"../../../../etc/shadow") | st.just(b"."),
)  # fmt: skip
Plant = tuple[list[bytes], str, int, bytes]


def plant(root: Path, plants: list[Plant]) -> None:
    """A tree with what every tree has, and *plants*; those whose place is taken are passed over."""
    for name in ("etc", "usr/share", "var/lib"):
        (root / name).mkdir(parents=True)
    (root / "usr/share/first").write_text("first")
    for parts, kind, mode, content in plants:
        place = root.joinpath("usr", *map(os.fsdecode, parts))
        with suppress(FileExistsError, NotADirectoryError, FileNotFoundError):
            place.parent.mkdir(parents=True, exist_ok=True)
            if kind == "file":
                with place.open("xb") as file:
                    file.write(content)
                place.chmod(mode | 0o400)
            elif kind == "link":
                place.symlink_to(os.fsdecode(content))
            elif kind == "hard":
                place.hardlink_to(root / "usr/share/first")
            else:
                place.mkdir()
                place.chmod(mode | 0o700)


def pack(tree: Path, out: Path) -> dict[str, Any]:
    out.mkdir()
    config = make_config(ImageConfig(version="1", timestamp=0), "amd64")
    return write(
        config=config, annotations={}, tag="t", compression="gzip", max_layers=16, previous={}, tree=str(tree),
        out=str(out),
    )  # fmt: skip


def described(tree: Path) -> dict[str, tuple[Any, ...]]:
    """What an image must bring back: kind, mode, content."""
    found: dict[str, tuple[Any, ...]] = {}
    for entry in files.walk(tree):
        content = files.read_link(entry.path) if entry.is_link else entry.path.read_bytes() if entry.is_file else b""
        mode = 0 if entry.is_link else stat.S_IMODE(entry.stat.st_mode)
        found[entry.name] = (stat.S_IFMT(entry.stat.st_mode), mode, entry.stat.st_nlink > 1 and entry.is_file, content)
    return found


def from_layers(made: dict[str, Any], layout: Path, place: Path) -> dict[str, tuple[Any, ...]]:
    """The same, from the tars of the layout as another program reads them."""
    kinds = {tarfile.REGTYPE: stat.S_IFREG, tarfile.LNKTYPE: stat.S_IFREG, tarfile.DIRTYPE: stat.S_IFDIR,
             tarfile.SYMTYPE: stat.S_IFLNK}  # fmt: skip
    found: dict[str, tuple[Any, ...]] = {}
    targets: set[str] = set()
    for layer in made["layers"]:
        plain = place / "plain.tar"
        unpack(layout / "blobs/sha256" / layer["digest"], layer["media_type"], plain)
        with tarfile.open(plain) as tar:
            for info in tar:
                content: Any = info.linkname if info.issym() else b""
                if info.isreg() or info.islnk():
                    file = tar.extractfile(info)
                    assert file is not None
                    content = file.read()
                if info.islnk():
                    targets |= {info.linkname, info.name}
                mode = 0 if info.issym() else info.mode
                found[info.name] = (kinds[info.type], mode, False, content)
    return {name: (k, m, name in targets, c) for name, (k, m, _, c) in found.items()}


def is_refused(entry: files.Entry) -> str:
    """Its name, if no image can hold it."""
    texts = [entry.name, files.read_link(entry.path) if entry.is_link else ""]
    last = entry.name.rpartition("/")[2]
    hopeless = last.startswith(".wh.") or any("\udc80" <= c <= "\udcff" for text in texts for c in text)
    return entry.name if hopeless else ""


@QUICK
@given(st.lists(PLANTS, max_size=6))
@example([([b"a\nb"], "file", 0o644, b"x")])
@example([([b"\xff"], "file", 0o644, b"x")])
@example([([b"a"], "link", 0o644, b"\xff")])
@example([([b".wh.first"], "file", 0o644, b"")])
@example([([b".wh..wh..opq"], "file", 0o644, b"")])
@example([([b"x" * 200, b"y" * 200], "hard", 0o644, b"")])
@example([([b"share", "über".encode()], "hard", 0o644, b"")])
@example([([b"a"], "link", 0o644, b"b"), ([b"b"], "link", 0o644, b"a")])
@example([([b"su"], "file", 0o4755, b"ELF")])
def test_a_tree_comes_out_of_its_image_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, plants: list[Plant]
) -> None:
    place = tmp_path_factory.mktemp("hostile")
    tree = place / "tree"
    plant(tree, plants)
    findings = run_lints(Root(tree))
    assert all(finding.message.isprintable() for finding in findings)
    json.dumps([finding.message for finding in findings], ensure_ascii=False).encode()
    if refused := sorted(filter(None, map(is_refused, files.walk(tree)))):
        with pytest.raises(Failure, match="an image cannot hold /usr/") as caught:
            pack(tree, place / "out")
        assert str(caught.value).isprintable(), refused
        return
    made = pack(tree, place / "out")
    assert from_layers(made, place / "out", place) == described(tree)


def test_a_fifo_and_a_socket_are_named_and_nobody_waits_for_them(tmp_path: Path) -> None:
    plant(tmp_path / "tree", [])
    os.mkfifo(tmp_path / "tree/usr/pi\npe")
    with pytest.raises(Failure, match=r"/usr/pi\\npe: it is a device node, fifo or socket"):
        pack(tmp_path / "tree", tmp_path / "out")
    assert [f.message for f in run_lints(Root(tmp_path / "tree")) if f.lint == "special-files"] == [
        "/usr/pi\\npe is a device node, fifo or socket"
    ]


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A tree that Python's own rmtree may be unable to remove."""
    plant(tmp_path / "tree", [])
    yield tmp_path / "tree"
    run(["rm", "-rf", tmp_path / "tree"])


def dig(place: Path, depth: int) -> int:
    """A descriptor of what lies *depth* directories below *place*, made step by step."""
    here = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("dd", dir_fd=here)
        below = os.open("dd", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    return here


def test_a_path_that_is_too_long_is_said(tree: Path, tmp_path: Path) -> None:
    os.close(dig(tree / "usr", 1600))
    with pytest.raises(Failure, match=r"/usr/dd/dd/.*…: the path is too long"):
        run_lints(Root(tree))
    with pytest.raises(Failure, match="the path is too long"):
        pack(tree, tmp_path / "out")


def test_a_thousand_directories_are_only_deep(tree: Path, tmp_path: Path) -> None:
    bottom = dig(tree / "usr", 1100)
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=bottom))
    os.close(bottom)
    made = pack(tree, tmp_path / "out")
    assert from_layers(made, tmp_path / "out", tmp_path) == described(tree)
