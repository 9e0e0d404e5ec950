"""One disk in every format, each compared with the raw image; and damage that is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_bootc_compose.disk.bench import WORK, Bench, open_bench
from deb_bootc_compose.disk.convert import FORMATS, check_image, convert_argv, make_image
from debcore.errors import CommandFailed
from debroot.store import Store

pytestmark = pytest.mark.root

SIZE = 48 * 1024**2


@pytest.fixture
def raw(place: Path) -> Path:
    """Sparse, with something at the beginning, in the middle, and in the last sector."""
    path = place / "formats.raw"
    with path.open("wb") as file:
        for at in (0, SIZE // 2, SIZE - 512):
            file.seek(at)
            file.write(b"deb-bootc" * 56 + b"!" * 8)
    assert path.stat().st_size == SIZE
    return path


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_format_holds_the_same_disk(store: Store, place: Path, raw: Path, kind: str) -> None:
    out = place / f"formats.{kind}"
    make_image(store, raw, out, kind)
    magic = {"qcow2": b"QFI\xfb", "vmdk": b"KDMV", "vhd": b"conectix"}[kind]
    assert out.read_bytes().startswith(magic)
    assert out.stat().st_size < SIZE // 4
    with open_bench(store, suite="trixie", arch="amd64", binds={"/in/raw": raw, "/in/image": out}) as bench:
        assert check_image(bench, kind, "/in/raw", "/in/image", size=SIZE) == []
        assert check_image(bench, kind, "/in/raw", "/in/image", size=SIZE + 1) == [
            f"its disk has {SIZE} bytes, not {SIZE + 1}"
        ]
        other = f"{WORK}/other.raw"
        bench.run(["cp", "--sparse=always", "/in/raw", other])
        bench.run(["sh", "-c", f"printf x | dd of={other} bs=1 seek={SIZE // 2} conv=notrunc"])
        (problem,) = check_image(bench, kind, other, "/in/image", size=SIZE)
        assert "mismatch" in problem.lower()
        assert_damage_is_found(bench, kind)


def assert_damage_is_found(bench: Bench, kind: str) -> None:
    cut = f"{WORK}/cut.{kind}"
    bench.run(["sh", "-c", f"head -c 100 /in/image > {cut}"])
    assert check_image(bench, kind, "/in/raw", cut, size=SIZE)


def test_a_disk_that_cannot_be_read_is_a_failure(store: Store) -> None:
    with pytest.raises(CommandFailed), open_bench(store, suite="trixie", arch="amd64", binds={}) as bench:
        bench.run(convert_argv("vmdk", "/in/nothing", f"{WORK}/x"))
