"""The compose before is damaged: nothing of it comes into the next one, which is as if it had been whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status
from debcore.command import run
from tests.integration.compose.world import Composer, outputs

pytestmark = [pytest.mark.root, pytest.mark.slow]

KEY = "server.amd64"


def build(composer: Composer, target: Path, *more: str) -> tuple[ComposeDirectory, str]:
    done = composer.call("build", composer.manifest, "--target", target, "--json", *more)
    return ComposeDirectory(Path(json.loads(done.stdout)["path"])), done.stderr.decode()


def taken(said: str) -> set[str]:
    """Tasks whose result was that of the compose before."""
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return {one["task"] for one in events if "the same as in" in one.get("text", "") and "task" in one}


def flip(path: Path, at: int) -> None:
    """One bit. The file is written anew: other composes may have it under another name."""
    content = bytearray(path.read_bytes()) if path.stat().st_size < 1 << 28 else None
    if content is not None:
        content[at] ^= 1
        path.unlink()
        path.write_bytes(content)
        return
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 1]))


def largest(paths: list[Path]) -> Path:
    return max((path for path in paths if path.is_file()), key=lambda path: path.stat().st_size)


def check_sums(compose: ComposeDirectory) -> None:
    sums = (compose.output / "SHA256SUMS").read_bytes()
    run(["sha256sum", "--check", "--strict", "--quiet", "-"], cwd=compose.output, stdin=sums)


@pytest.mark.timeout(3600)
def test_what_is_damaged_is_made_again_and_the_same(composer: Composer, tmp_path: Path) -> None:
    first, _ = build(composer, tmp_path)
    assert first.status() is Status.FINISHED
    made = outputs(first)
    output = first.output / "server/amd64"
    flip(next((output / "images").glob("*.raw")), 600 * 1024 * 1024 + 12_345)
    flip(largest(list((output / "oci/blobs/sha256").iterdir())), 4_000)
    flip(largest(list((output / "ostree/repo/objects").glob("*/*.filez"))), 4_000)

    second, said = build(composer, tmp_path)
    assert outputs(second) == made
    check_sums(second)
    assert not {f"{kind}.{KEY}" for kind in ("image", "container", "commit")} & taken(said)
    for task in ("image", "container", "commit"):
        assert "cannot be taken" in (second.logs / f"{task}.{KEY}.log").read_text()

    third, said = build(composer, tmp_path)
    assert outputs(third) == made
    whole = ("lint", "commit", "container", "replay", "image")
    assert taken(said) >= {f"{kind}.{KEY}" for kind in whole}

    third.journal_path.write_bytes(third.journal_path.read_bytes().replace(b'"n": 3', b'"n": 2', 1))
    fourth, said = build(composer, tmp_path)
    assert outputs(fourth) == made
    assert taken(said) >= {f"{kind}.{KEY}" for kind in whole}, "of the one before it"
    assert said.count(f"{third.id} is damaged, nothing is taken from it") == 1
