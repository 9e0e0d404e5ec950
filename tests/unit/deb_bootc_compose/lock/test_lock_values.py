"""Locks: stages, what is refused, what counts as the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deb_bootc_compose.lock import (
    Lock,
    LockedBase,
    LockedPackage,
    LockedVariant,
    check_locked,
    load_lock,
    make_version,
    split_stages,
    write_lock,
)
from debcore.errors import ConfigError, Failure
from debroot.store import Package

HUB = "http://127.0.0.1:4711/apt"


def package(name: str, version: str = "1", *, hub: bool = False) -> Package:
    uri = f"{HUB if hub else 'http://mirror.example/debian'}/pool/{name}.deb"
    return Package(
        name=name, version=version, arch="amd64", sha256=f"{hash((name, version)) & 0xFF:02x}" * 32, size=10, uri=uri
    )


def lock(*hub: Package, timestamp: int = 1_800_000_000) -> Lock:
    stages = split_stages([package("libc6"), package("hostname")], [package("ssh"), *hub], hub_uri=HUB)
    base, archive, built = (tuple(LockedPackage.of(p) for p in stage) for stage in stages)
    variant = LockedVariant(asked=("ssh", "hostname"), base=base, archive=archive, hub=built)
    return Lock(
        suite="trixie", timestamp=timestamp, version=make_version("13", timestamp), releases={"a": "b"},
        variants={"server.amd64": variant},
    )  # fmt: skip


def test_stages_are_told_apart_by_where_packages_come_from() -> None:
    newer = package("hostname", "1+local1", hub=True)
    base, archive, hub = split_stages([package("hostname")], [package("ssh"), newer], hub_uri=HUB)
    assert [p.version for p in base] == ["1"], "the base does not depend on what the hub has"
    assert [p.name for p in archive] == ["ssh"]
    assert hub == (newer,)


def test_a_later_stage_is_what_is_installed() -> None:
    locked = lock(package("hostname", "1+local1", hub=True)).variants["server.amd64"]
    assert locked.installed["hostname:amd64"].version == "1+local1"
    assert len(locked.installed) == 3


def test_a_lock_comes_back_from_its_file(tmp_path: Path) -> None:
    write_lock(tmp_path / "lock.json", lock())
    assert load_lock(tmp_path / "lock.json") == lock()


def test_content_is_not_of_times() -> None:
    assert lock().content == lock(timestamp=1_900_000_000).content
    assert lock().content != lock(package("agent", hub=True)).content


def test_content_is_not_of_places() -> None:
    here = package("agent", hub=True)
    there = replace(here, uri=f"{HUB}/elsewhere/agent.deb", filename="elsewhere/agent.deb")
    assert lock(here) != lock(there)
    assert lock(here).content == lock(there).content


def test_a_version_is_of_the_timestamp() -> None:
    assert make_version("13", 1_800_000_000) == "13.20270115.0800"


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is no lock"), ("{}", "is no lock"), ('{"schema": "deb-bootc-compose-lock/2"}', "is no lock")],
)
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "lock.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_lock(tmp_path / "lock.json")


def test_a_lock_with_a_bad_hash_is_refused(tmp_path: Path) -> None:
    document = json.loads(lock().document())
    document["variants"]["server.amd64"]["base"][0]["sha256"] = "00"
    (tmp_path / "lock.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="sha256"):
        load_lock(tmp_path / "lock.json")


def test_a_missing_lock_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_lock(tmp_path / "lock.json")
    assert "deb-bootc-compose lock" in caught.value.hint


@pytest.mark.parametrize(
    ("suite", "asked", "message"),
    [
        ("sid", {"server.amd64": ("ssh", "hostname")}, "the lock is of trixie"),
        ("trixie", {"desktop.amd64": ()}, "no variant desktop.amd64"),
        ("trixie", {"server.amd64": ("ssh",)}, "hostname"),
        ("trixie", {"server.amd64": ("ssh", "hostname", "nftables")}, "nftables"),
    ],
)
def test_a_lock_is_never_filled_up(suite: str, asked: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(Failure, match=message):
        check_locked(lock(), suite=suite, asked=asked)


def test_the_order_in_which_packages_are_asked_does_not_count() -> None:
    check_locked(lock(), suite="trixie", asked={"server.amd64": ("hostname", "ssh")})


def test_a_base_is_part_of_what_is_installed_and_of_the_content() -> None:
    below = tuple(LockedPackage.of(package(name)) for name in ("libc6", "hostname"))
    plain = lock(package("hostname", "2", hub=True))
    variant = plain.variants["server.amd64"].model_copy(update={"base": ()})

    def on(digest: str, name: str = "") -> Lock:
        base = LockedBase(kind="image", digest=f"sha256:{digest * 64}", name=name, packages=below)
        derived = {"server.amd64": variant.model_copy(update={"derived": base})}
        return plain.model_copy(update={"variants": derived})

    installed = on("a").variants["server.amd64"].installed
    assert {p.name: p.version for p in installed.values()} == {"libc6": "1", "hostname": "2", "ssh": "1"}
    assert on("a").content != on("b").content
    assert on("a").content == on("a", "registry.example/server").content
