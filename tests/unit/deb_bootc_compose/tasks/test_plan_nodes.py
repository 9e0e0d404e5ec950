"""The graph of a manifest: what needs what, what is left out, what is part of an identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.compose import Options, start_compose
from deb_bootc_compose.graph import Node, check_graph, identify
from deb_bootc_compose.manifest import load_manifest
from deb_bootc_compose.plan import judge_nodes, make_nodes
from deb_bootc_compose.tasks import KINDS, kinds_from
from debcore.errors import ConfigError

MANIFEST = """\
schema: deb-bootc-compose/1
release: {name: Example, short: Example, version: "13"}
suite: trixie
packages: [systemd, ssh]
builds:
  - {source: agent}
  - {archive: hostname, suffix: "+local1"}
variants:
  server:
    arches: [amd64]
    ref: example/${arch}/server
    packages: [ssh, agent]
    add-files: [{from: motd, to: /etc/motd}]
    outputs: {container: {name: example/server}}
    lint: {waive: [{rule: bootc-client, reason: updates by OSTree only}]}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text(MANIFEST)
    (tmp_path / "agent/debian").mkdir(parents=True)
    (tmp_path / "agent/debian/changelog").write_text("agent (1) trixie; urgency=low\n")
    (tmp_path / "motd").write_text("hello\n")
    return tmp_path


def nodes(manifest: Path, options: Options | None = None) -> dict[str, Node]:
    loaded = load_manifest(manifest)
    digests = {str(manifest / "agent"): "a" * 64, str(manifest / "motd"): "b" * 64}
    return check_graph(make_nodes(loaded, options or Options(), digests))


def test_every_task_has_its_inputs(manifest: Path) -> None:
    made = nodes(manifest)
    assert made["request"].needs == ("source.agent", "source.hostname")
    assert made["lock"].needs == ("request",)
    assert made["tree.server.amd64"].needs == ("lock",)
    assert set(made["replay.server.amd64"].needs) == {"container.server.amd64", "commit.server.amd64"}
    assert "boot.server.amd64" in made["publish"].needs, "nothing is published before the gates"
    assert "metadata" in made["publish"].needs


def test_no_machine_starts_before_the_lints_have_passed(manifest: Path) -> None:
    assert "lint.server.amd64" in nodes(manifest)["boot.server.amd64"].needs
    assert "lint.server.amd64" in nodes(manifest)["update.server.amd64"].needs
    without = nodes(manifest, Options(skip=("lint",)))
    assert "boot.server.amd64" in without
    assert not any("lint" in need for node in without.values() for need in node.needs)


def test_packages_are_asked_once(manifest: Path) -> None:
    asked = nodes(manifest)["lock"].params["variants"]["server.amd64"]
    assert asked["packages"] == ["systemd", "ssh", "agent"]


def test_no_path_of_this_host_is_part_of_an_identity(manifest: Path) -> None:
    for node in nodes(manifest).values():
        assert str(manifest) not in repr(node.params), node.id


def test_a_given_lock_needs_no_builds(manifest: Path) -> None:
    made = nodes(manifest, Options(locked="c" * 64))
    assert made["lock"].needs == ()
    assert not [name for name in made if name.startswith(("source", "request"))]


def test_what_is_skipped_takes_what_needs_it(manifest: Path) -> None:
    made = nodes(manifest, Options(skip=("commit",)))
    assert "replay.server.amd64" not in made
    assert "image.server.amd64" not in made
    assert "container.server.amd64" in made["publish"].needs


@pytest.mark.parametrize(
    ("tests", "gates", "rollback"),
    [
        ("", {"lint", "boot", "update"}, True),
        ("[lint, update]", {"lint", "update"}, False),
        ("[rollback]", {"update"}, True),
        ("[fallback]", {"fallback"}, None),
        ("[]", set(), None),
    ],
)
def test_gates_are_those_of_the_manifest(manifest: Path, tests: str, gates: set[str], rollback: bool | None) -> None:
    (manifest / "compose.yaml").write_text(MANIFEST + (f"    tests: {tests}\n" if tests else ""))
    made = nodes(manifest)
    assert {node.kind for node in made.values()} & {"lint", "boot", "update", "fallback"} == gates
    for kind in gates:
        assert f"{kind}.server.amd64" in made["publish"].needs, "nothing is published before it"
    if rollback is not None:
        assert made["update.server.amd64"].params["rollback"] is rollback
        assert "lock" in made["update.server.amd64"].needs, "another commit before is another gate"


def test_the_gates_of_bootc_stand_beside_ours(manifest: Path) -> None:
    kinds = {"bootc-install", "bootc-upgrade"}
    made = nodes(manifest)
    for kind in kinds:
        node = made[f"{kind}.server.amd64"]
        assert node.only_if is not None
        assert (node.only_if.need, node.only_if.key) == ("tree.server.amd64", "bootc")
        assert {"lint.server.amd64", "lock", "tree.server.amd64", "container.server.amd64"} <= set(node.needs)
        assert node.id in made["publish"].needs, "nothing is published before it"
    assert made["bootc-upgrade.server.amd64"].params["rollback"] is True
    assert not kinds & {
        node.kind for node in nodes(manifest, Options(skip=("bootc-install", "bootc-upgrade"))).values()
    }
    (manifest / "compose.yaml").write_text(MANIFEST + "    tests: [lint]\n")
    assert not kinds & {node.kind for node in nodes(manifest).values()}
    (manifest / "compose.yaml").write_text(MANIFEST.replace("    outputs: {container: {name: example/server}}\n", ""))
    assert not kinds & {node.kind for node in nodes(manifest).values()}, "there is no image to install"


def test_a_change_of_the_tree_is_another_version(manifest: Path) -> None:
    before = nodes(manifest)["lock"].params["recipe"]
    assert nodes(manifest)["lock"].params["recipe"] == before
    (manifest / "compose.yaml").write_text(MANIFEST.replace("to: /etc/motd", "to: /etc/issue"))
    assert nodes(manifest)["lock"].params["recipe"] != before


def test_a_key_that_is_not_used_changes_no_identity(manifest: Path) -> None:
    """Else what people have composed would be made again: the keys that a tree was told of before others came."""
    made = nodes(manifest)["tree.server.amd64"]
    assert set(made.params) == {
        "key", "suite", "arch", "name", "variant", "units", "kargs", "layout", "var", "os-release", "ids-strict",
        "grow", "boot-files", "files",
    }  # fmt: skip
    assert made.context["origins"]["postprocess"] == []


@pytest.mark.parametrize(
    "text",
    [
        "documentation: {keep: []}", "install-langs: [de]", 'remove-from-packages: [[udev, "/x"]]',
        "remove-files: [/usr/share/info]", "postprocess: [echo a]", "boot: {dracut-omit: [lvm]}",
    ],
)  # fmt: skip
def test_a_key_of_the_tree_is_part_of_its_identity(manifest: Path, text: str) -> None:
    before = nodes(manifest)
    (manifest / "compose.yaml").write_text(f"{MANIFEST}    {text}\n")
    after = nodes(manifest)
    key = text.partition(":")[0]
    assert key in after["tree.server.amd64"].params
    assert key not in before["tree.server.amd64"].params
    assert after["lock"].params["recipe"] != before["lock"].params["recipe"]
    line = f"{manifest}/compose.yaml:{len(MANIFEST.splitlines()) + 1}"
    assert after["tree.server.amd64"].context["origins"].get(key, [line]) == [line]


def test_growth_is_said_to_the_tree_and_to_its_gate(manifest: Path) -> None:
    plain = nodes(manifest)
    assert plain["boot.server.amd64"].params["grow"] is None
    for word, value in (("true", True), ("false", False)):
        (manifest / "compose.yaml").write_text(MANIFEST.replace("suite:", f"grow: {word}\nsuite:"))
        made = nodes(manifest)
        assert made["boot.server.amd64"].params["grow"] is made["tree.server.amd64"].params["grow"] is value
        files = made["tree.server.amd64"].params["boot-files"]
        assert (files == plain["tree.server.amd64"].params["boot-files"]) is value


def test_a_root_that_is_not_ext4_is_said_to_all_whom_it_concerns(manifest: Path) -> None:
    assert not any("filesystem" in node.params for node in nodes(manifest).values()), "identities stay"
    images = "outputs: {images: [{type: raw, filesystem: xfs}], "
    (manifest / "compose.yaml").write_text(MANIFEST.replace("outputs: {", images))
    made = nodes(manifest)
    told = {name for name, node in made.items() if node.params.get("filesystem") == "xfs"}
    assert told == {f"{kind}.server.amd64" for kind in ("lint", "update", "bootc-install", "bootc-upgrade")}
    assert made["lock"].params["variants"]["server.amd64"]["filesystem"] == "xfs", "its tools are locked"
    assert [image["filesystem"] for image in made["image.server.amd64"].params["images"]] == ["xfs"]


def test_a_compose_can_end_early(manifest: Path) -> None:
    assert set(nodes(manifest, Options(until="lock"))) == {"source.agent", "source.hostname", "request", "lock"}


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("{source: agent}", "{source: agnet}", 6, "no source package"),
        ("{from: motd", "{from: modt", 13, "No such file"),
        ("rule: bootc-client", "rule: bootc-clint", 15, "there is no lint"),
    ],
)
def test_what_can_be_checked_is_checked_before_anything_is_made(
    manifest: Path, old: str, new: str, line: int, message: str
) -> None:
    (manifest / "compose.yaml").write_text(MANIFEST.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        start_compose(load_manifest(manifest), manifest / "composes", Options())
    assert caught.value.where == f"{manifest}/compose.yaml:{line}"
    assert not (manifest / "composes").exists()


def test_a_compose_keeps_what_it_began_with(manifest: Path) -> None:
    compose = start_compose(load_manifest(manifest), manifest / "composes", Options())
    (manifest / "motd").write_text("changed\n")
    kept = [path.read_text() for path in (compose.work / "files").iterdir()]
    assert kept == ["hello\n"]


def test_only_a_kind_and_what_it_needs(manifest: Path) -> None:
    made = nodes(manifest, Options(only=("container",)))
    assert set(made) == {
        "source.agent", "source.hostname", "request", "lock", "tree.server.amd64", "container.server.amd64"
    }  # fmt: skip
    made = nodes(manifest, Options(only=("lint", "metadata")))
    assert {"lint.server.amd64", "metadata"} <= set(made)
    assert made["metadata"].needs == ("lock", "tree.server.amd64", "lint.server.amd64")
    assert "commit.server.amd64" not in made


def test_why_a_task_is_left_out(manifest: Path) -> None:
    def reasons(**options: Any) -> dict[str, str]:
        digests = {str(manifest / "agent"): "a" * 64, str(manifest / "motd"): "b" * 64}
        judged = judge_nodes(load_manifest(manifest), Options(**options), digests)
        return {node.id: reason for node, reason in judged}

    assert set(reasons().values()) == {""}
    assert reasons(skip=("boot",))["boot.server.amd64"] == "--skip boot"
    assert reasons(until="lint")["commit.server.amd64"] == "comes after --until lint"
    assert reasons(only=("lint",))["commit.server.amd64"] == "nothing that --only lint asks for needs it"
    told = reasons(skip=("lint",))
    assert told["lint.server.amd64"] == "--skip lint"
    assert told["boot.server.amd64"] == "", "gates do without lints that are left out"


def test_kinds_from() -> None:
    assert kinds_from(None) == frozenset()
    assert kinds_from("metadata") == {"metadata", "publish"}
    assert kinds_from("source") == set(KINDS)


def test_one_lint_alone_and_one_form_of_the_sbom(manifest: Path) -> None:
    before = nodes(manifest)
    text = MANIFEST + "    tests: [repoclosure, boot]\n    sbom: [spdx]\n"
    (manifest / "compose.yaml").write_text(text)
    made = nodes(manifest)
    assert "only" not in before["lint.server.amd64"].params
    assert made["lint.server.amd64"].params["only"] == ["repoclosure"]
    assert "lint.server.amd64" in made["boot.server.amd64"].needs
    assert made["metadata"].params["variants"]["server.amd64"]["sbom"] == ["spdx"]
    assert "sbom" not in before["metadata"].params["variants"]["server.amd64"]


def test_what_may_fail_is_a_part_and_keeps_its_identity(manifest: Path) -> None:
    before = nodes(manifest)
    (manifest / "compose.yaml").write_text(MANIFEST + "    failable: [amd64]\n")
    made = nodes(manifest)
    parts = {name for name, node in made.items() if node.optional}
    assert parts == {name for name in made if name.endswith(".server.amd64")}
    assert all(made[name].part == "server.amd64" for name in parts)
    assert all(identify(made[name], {}) == identify(before[name], {}) for name in parts)
    assert made["publish"].params["variants"]["server.amd64"]["failable"] is True
    assert [name for name, node in made.items() if node.gathers] == ["metadata", "publish"]
