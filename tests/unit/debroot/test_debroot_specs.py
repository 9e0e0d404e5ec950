"""Sandboxes as values: what the launcher is told, ids, capabilities, overlay options."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from debcore.errors import ConfigError, Failure
from debroot.idmap import COUNT, IdMap, find_idmap, find_range, parse_ranges, parse_subid
from debroot.isolate.init import NEVER, capability_mask
from debroot.isolate.mounts import CannotMake, overlay_options
from debroot.sandbox import Bind, Sandbox, make_spec
from debroot.upper import can_use_tmpfs

IDS = IdMap(500000)


def test_overlay_paths_are_short_and_relative() -> None:
    lowers = (Path("/s/layers/b/root"), Path("/s/layers/a/root"))
    spec = make_spec(Sandbox(lowers=lowers, upper=Path("/s/tmp/x/upper")), ["true"], IDS, timeout=None)
    assert spec["base"] == "/s"
    assert spec["lowers"] == ["layers/b/root", "layers/a/root"]
    assert (spec["upper"], spec["work"]) == ("tmp/x/upper", "tmp/x/work")
    assert spec["maps"] == {"uid": [500000, COUNT], "gid": [500000, COUNT]}


def test_a_sandbox_without_upper_throws_changes_away() -> None:
    spec = make_spec(Sandbox(lowers=(Path("/s/layers/b/root"),)), ["true"], IDS, timeout=3)
    assert (spec["base"], spec["lowers"], spec["upper"]) == ("/s/layers/b", ["root"], None)
    assert spec["timeout"] == 3


def test_binds_are_looked_at_on_the_host(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    binds = (Bind(source=tmp_path, target="/d", readonly=False), Bind(source=file, target="/f"))
    spec = make_spec(Sandbox(root=Path("/"), binds=binds), ["true"], IDS, timeout=None)
    assert [(b["directory"], b["readonly"]) for b in spec["binds"]] == [(True, False), (False, True)]


@pytest.mark.parametrize("sandbox", [Sandbox(), Sandbox(root=Path("/"), lowers=(Path("/x"),))])
def test_a_sandbox_has_lowers_or_a_root(sandbox: Sandbox) -> None:
    with pytest.raises(Failure, match="lowers or a root"):
        make_spec(sandbox, ["true"], IDS, timeout=None)


def test_hosts_resolve_without_network() -> None:
    files = make_spec(Sandbox(root=Path("/"), hostname="box"), ["true"], IDS, timeout=None)["files"]
    assert files["/etc/hostname"] == "box\n"
    assert "127.0.1.1 box" in files["/etc/hosts"]
    assert "/etc/resolv.conf" not in files


def test_overlay_options_are_escaped_and_bounded() -> None:
    assert overlay_options(["a:b", "c,d"], "u", "w") == "userxattr,lowerdir=a\\:b:c\\,d,upperdir=u,workdir=w"
    with pytest.raises(CannotMake, match="too many"):
        overlay_options([f"layers/{n:024d}/root" for n in range(200)], "u", "w")


@pytest.mark.parametrize(
    ("release", "expected"), [("6.1.0-40-amd64", False), ("6.6.1", True), ("6.12", True), ("7.0-rc1", True)]
)
def test_upper_layers_on_tmpfs_need_a_recent_kernel(release: str, expected: bool) -> None:
    assert can_use_tmpfs(release) is expected


def test_capabilities_are_bounded() -> None:
    mask = capability_mask(hardened=False)
    assert not any(mask >> number & 1 for number in NEVER.values())
    assert mask >> 21 & 1  # SYS_ADMIN: mmdebstrap mounts inside
    assert not capability_mask(hardened=True) >> 21 & 1
    assert capability_mask(hardened=True) & 1  # CHOWN: dpkg


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("me:100000:65536\n", [(100000, 65536)]),
        ("1000:5:6\nme:7:8\nyou:9:10\n", [(5, 6), (7, 8)]),
        ("me:x:65536\nme:1\n\n#me:1:2\n", []),
    ],
)
def test_subordinate_ranges(text: str, expected: list[tuple[int, int]]) -> None:
    assert parse_ranges(text, "me", 1000) == expected


def test_a_range_holds_65536_ids(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("me:1:1000\nme:200000:65536\n")
    assert find_range(file, "me", 1000) == 200000
    assert find_range(tmp_path / "none", "me", 1000) is None


@pytest.mark.parametrize("text", ["", "0", "x", "5:", "100000:10", "-3", "1:2:3"])
def test_bad_ranges_are_refused(text: str) -> None:
    if text == "5:":
        assert parse_subid(text) == IdMap(5)
        return
    with pytest.raises(ConfigError):
        parse_subid(text)


def test_the_environment_chooses_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBOOTC_SUBID", "700000")
    assert find_idmap() == IdMap(700000)
    assert find_idmap().owner == (700000, 700000)
    assert os.getuid() != 700000
