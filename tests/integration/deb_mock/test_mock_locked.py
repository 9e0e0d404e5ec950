"""Hermetic builds: with a lock and without any network, package lists or cached answers, the bytes are the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from debcore.job import Status, load_lock

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

#: Nothing but loopback, and it is down; no package lists of the host, no index and no answer in the store.
ALONE = """set -eu
for cache in /var/lib/apt/lists "$STORE/apt" "$STORE/resolved"; do mount -t tmpfs -o mode=0711 none "$cache"; done
[ "$(grep -c : /proc/net/dev)" = 1 ]
exec "$@"
"""


def alone(tool: Any) -> Any:
    """*tool* in namespaces without a network and without anything that it once read from one."""
    argv = (
        "unshare",
        "--net",
        "--mount",
        "--propagation=private",
        "env",
        f"STORE={tool.store}",
        "sh",
        "-c",
        ALONE,
        "sh",
    )
    return replace(tool, argv=(*argv, *tool.argv))


@pytest.mark.parametrize("name", ["hostname", "cowsay"])
def test_a_locked_build_needs_no_network_and_gives_the_same_bytes(
    tool: Any, builds: Callable[..., Any], sources: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    first = builds(name)
    lock = first.directory / "lock.json"
    built = alone(tool).build(sources(name), tmp_path / "out", "--locked", str(lock), "--offline")
    assert built.status == 0, built.said
    assert built.debs() == first.debs()
    assert built.result.lock_sha256 == first.result.lock_sha256 == load_lock(lock).sha256
    assert [stage.name for stage in built.result.stages] == ["source", "root", "unpack", "build", "results"]


def test_without_a_lock_the_same_place_cannot_build(
    tool: Any, sources: Callable[[str], Path], builds: Callable[..., Any], tmp_path: Path
) -> None:
    builds("hostname")
    built = alone(tool).build(sources("hostname"), tmp_path / "out")
    assert built.status != 0


def test_a_lock_that_was_edited_is_refused(
    tool: Any, builds: Callable[..., Any], sources: Callable[[str], Path], tmp_path: Path
) -> None:
    document = json.loads((builds("hostname").directory / "lock.json").read_bytes())
    document["packages"][0]["version"] += "+evil"
    edited = tmp_path / "lock.json"
    edited.write_text(json.dumps(document))
    built = tool.build(sources("hostname"), tmp_path / "out", "--locked", str(edited), "--offline")
    assert built.status == 3
    assert "was edited" in built.said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow  # a whole root is made from the pool, and again
def test_an_empty_store_with_the_packages_makes_the_root_offline(
    tool: Any, builds: Callable[..., Any], sources: Callable[[str], Path], tmp_path: Path
) -> None:
    first = builds("hostname")
    lock = load_lock(first.directory / "lock.json")
    own = replace(tool, store=tool.store.parent / "hermetic")
    shutil.rmtree(own.store, ignore_errors=True)
    for package in (*lock.packages, *lock.replaced):
        there = own.store / "pool" / package.sha256[:2] / package.sha256
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tool.store / "pool" / package.sha256[:2] / package.sha256, there)
    for name in ("apt", "resolved"):
        (own.store / name).mkdir()
    arguments = ("--locked", str(first.directory / "lock.json"), "--offline")
    try:
        lost = lock.packages[0]
        deb = own.store / "pool" / lost.sha256[:2] / lost.sha256
        content = deb.read_bytes()
        deb.unlink()
        refused = alone(own).build(sources("hostname"), tmp_path / "refused", *arguments)
        assert refused.status == 5
        assert f"{lost.name} {lost.version}" in refused.said
        assert lost.filename in refused.said
        deb.write_bytes(content[:-1] + b"\0")
        changed = alone(own).build(sources("hostname"), tmp_path / "changed", *arguments)
        assert changed.status == 3
        assert f"{lost.name} {lost.version} has SHA-256" in changed.said
        deb.write_bytes(content)
        built = alone(own).build(sources("hostname"), tmp_path / "out", *arguments)
        assert built.result.status is Status.BUILT, built.said
        assert built.debs() == first.debs()
    finally:
        cleaned = own.run("clean", "--all")
        shutil.rmtree(own.store, ignore_errors=True)
    assert cleaned.status == 0
