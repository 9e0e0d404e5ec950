"""Plugins on real builds, and the plugin that the how-to page shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from debcore.command import run
from tests.integration.deb_mock.conftest import REPOSITORY, Tool
from tests.integration.deb_mock.test_mock_stop import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

COMPILE = "echo 'int main(void) { return 0; }' > x.c; gcc -c x.c -o x.o; gcc -c x.c -o y.o"


def test_ccache_keeps_objects_for_the_next_build(native: Callable[..., Path], tool: Tool, tmp_path: Path) -> None:
    tree = native(build=COMPILE, name="cached")
    first = tool.build(tree, tmp_path / "one", "--enable-plugin", "ccache")
    assert first.status == 0, first.said + first.log[-2000:]
    second = tool.build(tree, tmp_path / "two", "--enable-plugin", "ccache")
    hits = re.findall(r"ccache:\s+Hits:\s+(\d+)", second.log)
    assert int(hits[0]) >= 1, second.log[-3000:]
    assert second.result.reproducible is False
    assert second.result.influences == ("ccache: objects that earlier builds compiled",)
    assert first.debs() == second.debs()
    assert "ccache" not in (tmp_path / "one" / "cached_1.0_amd64.buildinfo").read_text()


def test_what_is_bound_is_seen_and_recorded(native: Callable[..., Path], tool: Tool, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    shown.mkdir(mode=0o755)
    (shown / "file").write_text("from the host\n")
    dirs = f'plugins.bind_mount.dirs=[{{source = "{shown}", target = "/srv/shown"}}]'
    tree = native(build="cat /srv/shown/file; ! touch /srv/shown/new")
    built = tool.build(tree, tmp_path / "out", "--set", dirs)
    assert built.status == 0, built.said
    assert "from the host" in built.log
    assert list(shown.iterdir()) == [shown / "file"]
    assert (built.result.reproducible, built.result.influences) == (False, (f"bind_mount: {shown} of the host",))


def test_reports_are_results(native: Callable[..., Path], tool: Tool, tmp_path: Path) -> None:
    words = ("--enable-plugin", "package_state", "--enable-plugin", "hw_info")
    built = tool.build(native(), tmp_path / "out", *words)
    assert built.status == 0, built.said
    kinds = {output.path: output.kind for output in built.result.outputs}
    assert (kinds["installed_pkgs.log"], kinds["hw_info.log"]) == ("log", "log")
    lines = (tmp_path / "out" / "installed_pkgs.log").read_text().splitlines()
    assert len(lines) == built.event("environment.ready").data["packages"]
    assert built.result.influences == ()


def test_logs_of_a_failed_configure_are_kept(native: Callable[..., Path], tool: Tool, tmp_path: Path) -> None:
    tree = native(build="mkdir sub; echo why > sub/config.log; ln -s /etc/shadow core; echo no > other; false")
    built = tool.build(tree, tmp_path / "out", "--enable-plugin", "chroot_scan")
    assert built.status == 4
    assert "chroot_scan.tar" in {output.path for output in built.result.outputs}
    with tarfile.open(tmp_path / "out" / "chroot_scan.tar") as tar:
        assert tar.getnames() == ["./tiny-1.0/sub/config.log"]


@pytest.fixture
def configured(tool: Tool, tmp_path: Path) -> tuple[Tool, Path]:
    """The tool of a user with a directory of plugins of their own."""
    home = tmp_path / "config"
    (home / "deb-mock" / "plugins").mkdir(parents=True)
    return Tool(tool.store, env={"XDG_CONFIG_HOME": str(home)}), home / "deb-mock"


def test_the_plugin_of_the_how_to_works(
    native: Callable[..., Path], configured: tuple[Tool, Path], tmp_path: Path
) -> None:
    tool, home = configured
    page = (REPOSITORY / "docs" / "howto" / "deb-mock-plugins.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (home / "plugins" / "stamp.py").write_text(code[0])
    (home / "config.toml").write_text('[plugins.stamp]\nteam = "porters"\n')
    built = tool.build(native(build='echo "asked by $$BUILD_TEAM"'), tmp_path / "out")
    assert built.status == 0, built.said
    assert "asked by porters" in built.log
    assert (tmp_path / "out" / "stamp.log").read_text().startswith("tiny 1.0 by porters: ")
    shown = json.loads(tool.run("config", "show", "plugins", "--json").stdout)
    assert shown["plugins.stamp.team"] == {"value": "porters", "origin": str(home / "config.toml")}


def test_a_plugin_that_breaks_is_named(
    native: Callable[..., Path], configured: tuple[Tool, Path], tmp_path: Path
) -> None:
    tool, home = configured
    (home / "plugins" / "broken.py").write_text(
        "from deb_mock import plugin\n\n\nclass Plugin(plugin.Plugin):\n    api = 1\n\n"
        "    def prebuild(self, build):\n        return 1 / 0\n"
    )
    built = tool.build(native(), tmp_path / "out", "--enable-plugin", "broken")
    assert built.status == 6
    assert "the plugin broken failed in prebuild: ZeroDivisionError" in built.said
    assert "plugins.broken.enabled=false" in built.said
    assert "Traceback" not in built.said


def test_hooks_run_at_their_moments(native: Callable[..., Path], configured: tuple[Tool, Path], tmp_path: Path) -> None:
    tool, home = configured
    seen = tmp_path / "seen"
    (home / "config.toml").write_text(
        "[hooks]\n"
        f"pre-build-commands = ['echo \"pre $DEB_MOCK_SOURCE\" >> {seen}']\n"
        "chroot-setup = ['touch /usr/share/from-a-hook']\n"
        "starting-build = ['id -u; test -d tiny-1.0 || test -d /build/reproducible-path/tiny-1.0']\n"
        "finished-build = ['test -e /build/reproducible-path/tiny_1.0_all.deb']\n"
        f"post-build = ['ls \"$DEB_MOCK_RESULTDIR\" >> {seen}; date +%s']\n"
        f"post-build-failed = ['echo failed >> {seen}']\n"
    )
    tree = native(build="test -e /usr/share/from-a-hook")
    built = tool.build(tree, tmp_path / "out")
    assert built.status == 0, built.said + built.log[-3000:]
    assert seen.read_text().startswith("pre tiny\n")
    assert "tiny_1.0_all.deb" in seen.read_text()
    assert "failed" not in seen.read_text()
    assert built.result.reproducible is False
    assert "hooks: commands at chroot-setup" in built.result.influences


def test_a_hook_that_fails_is_the_hosts_fault_and_named(
    native: Callable[..., Path], tool: Tool, tmp_path: Path
) -> None:
    built = tool.build(native(), tmp_path / "out", "--set", 'hooks.starting-build=["exit 3"]')
    assert built.status == 6
    assert "'exit 3' of starting-build-commands ended with 3" in built.said
    assert "config show --origin hooks" in built.said


def test_a_cache_that_a_build_has_is_not_removed(native: Callable[..., Path], tool: Tool, tmp_path: Path) -> None:
    tree = native(build="sleep 3600", name="caching")
    out, events = tmp_path / "out", tmp_path / "out/events.jsonl"
    build = tool.start("build", "-r", "trixie", tree, "--resultdir", out, "--enable-plugin", "ccache")
    try:
        wait_for(lambda: events.exists() and '"stage":"build"' in events.read_text())
        done = json.loads(tool.run("scrub", "--json", "c-cache").text)
        assert "ccache/caching" in done["in_use"]
    finally:
        build.kill()
        build.wait()
    wait_for(lambda: "ccache/caching" in json.loads(tool.run("scrub", "--json", "c-cache").text)["removed"])
    assert not (tool.store / "plugins/ccache/caching").exists()


EVERYWHERE = """
from typing import ClassVar
from deb_mock import plugin

class Plugin(plugin.Plugin):
    api: ClassVar[int] = 1
    shown: str

    def environment(self, build):
        return {"BUILD_TEAM": "porters"}

    def mounts(self, build):
        return [plugin.Mount(source=self.shown, target="/srv/shown")]

    def pre_srpm_build(self, build):
        build.log("before packing: " + build.run(["sh", "-c", "echo $BUILD_TEAM; cat /srv/shown"]).text)

    def prechroot(self, root):
        root.run(["sh", "-c", "echo made by a plugin > /srv/note"], root=True)
        self.note(root, "prechroot")

    def postchroot(self, root):
        self.note(root, f"postchroot {root.status} " + root.run(["cat", "/srv/note"]).text.strip())

    def preshell(self, root):
        self.note(root, "preshell")

    def postshell(self, root):
        self.note(root, f"postshell {root.status}")

    def make_snapshot(self, root):
        self.note(root, f"make_snapshot {root.label}")

    def list_snapshots(self, root):
        self.note(root, "list_snapshots " + ",".join(root.labels))

    def remove_snapshot(self, root):
        self.note(root, f"remove_snapshot {root.label}")

    def rollback_to(self, root):
        self.note(root, f"rollback_to {root.label}")

    def note(self, root, text):
        with open(self.shown + ".notes", "a") as file:
            file.write(f"{root.name or '-'} {root.preset} {text}\\n")
"""


@pytest.fixture
def everywhere(configured: tuple[Tool, Path], tmp_path: Path) -> tuple[Tool, Path]:
    """The tool with the plugin above, and the file that this shows to builds."""
    tool, home = configured
    shown = tmp_path / "shown"
    shown.write_text("from the host\n")
    (home / "plugins" / "everywhere.py").write_text(EVERYWHERE)
    (home / "config.toml").write_text(f'[plugins.everywhere]\nshown = "{shown}"\n')
    return tool, shown


def test_plugins_are_there_when_packing_and_in_the_second_build(
    native: Callable[..., Path], everywhere: tuple[Tool, Path], tmp_path: Path
) -> None:
    tool, _ = everywhere
    needs = 'test "$$BUILD_TEAM" = porters && grep -q host /srv/shown'
    tree = native(name="cached", clean=needs, build=f"{needs} && {COMPILE}")
    words = ("--enable-plugin", "ccache", "--verify-reproducible", "--vary=host")
    built = tool.build(tree, tmp_path / "out", *words)
    assert (tmp_path / "out" / "reproducible.json").exists(), built.said
    assert "before packing: porters\nfrom the host" in built.log, built.said
    report = json.loads((tmp_path / "out" / "reproducible.json").read_text())
    assert report["reproducible"] is True
    again = (tmp_path / "out" / "build-again.log").read_text()
    hits = re.findall(r"ccache:\s+Hits:\s+(\d+)\s*/\s*(\d+)", again)
    # both objects are compiled from one text: the second may come from the first, and nothing from another build
    assert int(hits[0][0]) <= 1 < int(hits[0][1]), again[-3000:]
    assert "without the plugin" not in again


def test_plugins_see_what_a_person_does_in_a_root(everywhere: tuple[Tool, Path]) -> None:
    tool, shown = everywhere
    name = f"hooked-{os.getpid()}"
    root = ("-r", "debian-trixie-amd64", "--root", name)
    try:
        assert tool.run("run", *root, "--", "cat", "/srv/note").text == "made by a plugin\n"
        assert tool.run("run", *root, "--", "false").status == 1
        assert tool.run("snapshot", *root, "one").status == 0
        assert tool.run("snapshot", *root, "--list").text.endswith("one\n")
        assert tool.run("rollback", *root, "one").status == 0
        assert tool.run("snapshot", *root, "--remove", "one").status == 0
        line = shlex.join([*tool.argv, "shell", *root])
        shell = run(["script", "-qec", line, "/dev/null"], stdin=b"exit 3\n", env=tool.environment(), check=False)
        assert shell.status == 3, shell.text
    finally:
        tool.run("clean", "--root", name)
    notes = shown.with_name("shown.notes").read_text().splitlines()
    assert notes == [
        f"{name} debian-trixie-amd64 {text}"
        for text in (
            "prechroot", "postchroot 0 made by a plugin", "prechroot", "postchroot 1 made by a plugin",
            "make_snapshot one", "list_snapshots one", "rollback_to one", "remove_snapshot one", "preshell",
            "postshell 3",
        )
    ]  # fmt: skip


def test_a_lock_has_what_plugins_install(native: Callable[..., Path], tool: Tool, tmp_path: Path) -> None:
    lock = tmp_path / "ccache.lock"
    fresh = ("-r", "debian-trixie-amd64", "--set", "archive.max_age=1h")
    done = tool.run("lock", *fresh, "--enable-plugin", "ccache", "-o", lock, native(name="cached"))
    assert done.status == 0, done.stderr.decode()
    assert "ccache" in {package["name"] for package in json.loads(lock.read_text())["packages"]}


def test_the_report_names_each_package_and_its_layer_and_logs_are_compressed(
    native: Callable[..., Path], tool: Tool, tmp_path: Path
) -> None:
    words = ("--enable-plugin", "buildroot_report", "--enable-plugin", "compress_logs", "--enable-plugin", "ccache")
    built = tool.build(native(name="cached"), tmp_path / "out", *words)
    assert built.status == 0, built.said
    report = json.loads((tmp_path / "out" / "buildroot.json").read_text())
    assert report["architecture"] == "amd64"
    assert len(report["packages"]) == built.event("environment.ready").data["packages"]
    rows = {row["name"]: row for row in report["packages"]}
    assert (rows["dpkg"]["layer"], rows["ccache"]["layer"]) == (0, len(report["layers"]) - 1)
    assert all(row["origin"] and "@" not in row["origin"] and row["sha256"] for row in report["packages"])
    names = {output.path: output.kind for output in built.result.outputs}
    assert (names["build.log.zst"], names["buildroot.json"]) == ("log", "file")
    assert not (tmp_path / "out" / "build.log").exists()
    text = zstandard.ZstdDecompressor().decompressobj().decompress((tmp_path / "out" / "build.log.zst").read_bytes())
    assert b"Status: successful" in text
    again = tool.build(native(name="other", build="false"), tmp_path / "out", *words[2:4])  # over what was there
    assert again.status == 4
    assert "build.log.zst, from byte" in again.said or "build.log.zst" in {o.path for o in again.result.outputs}
    assert not (tmp_path / "out" / "buildroot.json").exists()


def test_checks_and_signatures_of_plugins(native: Callable[..., Path], tool: Tool, tmp_path: Path) -> None:
    signer = tmp_path / "signer"
    signer.write_text("#!/bin/sh\nexit 1\n")
    signer.chmod(0o755)
    words = ("--enable-plugin", "lintian", "--set", f'plugins.sign.command=["{signer}"]')
    built = tool.build(native(name="judged"), tmp_path / "out", *words)
    assert [report.name for report in built.result.checks] == ["lintian"]
    assert built.result.signed is False
    assert built.status != 0
