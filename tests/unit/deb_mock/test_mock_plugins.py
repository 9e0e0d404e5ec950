"""Plugins as settings: found by name, options checked with suggestions, never from a project's own file."""

from __future__ import annotations

import errno
import gzip
import lzma
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import zstandard

from deb_mock import logs
from deb_mock.buildlog import BuildLog
from deb_mock.config import Choice, choose
from deb_mock.logs import compress_logs, log_name
from deb_mock.order import Order
from deb_mock.plugin import HOOKS, Package, Plugin
from deb_mock.plugins import ELSEWHERE, SHIPPED
from deb_mock.plugins.apply import Applied, describe_layers, find_objection
from deb_mock.plugins.buildroot_report import find_origin
from deb_mock.plugins.ccache import Plugin as CCache
from deb_mock.plugins.registry import find_plugin, list_plugins, load_plugins, plugin_packages
from deb_mock.resultdir import clear_directory
from deb_mock.roots import BuildRoot, locked_package
from deb_mock.settings import parse_layer, parse_option, resolve
from deb_mock.source import ArchiveSource
from debcore.errors import ConfigError, HostFailed
from debcore.job import JobDirectory, Lock, Result, Status
from debroot.store import Layer

ORDER = Order(source=ArchiveSource("hello"), choice=choose(preset="trixie", arch="amd64"), directory=Path("out"))

MINE = """
from typing import ClassVar
from deb_mock import plugin

class Plugin(plugin.Plugin):
    api: ClassVar[int] = {api}
    level: int = 3
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own directory of plugins."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    directory = tmp_path / "deb-mock" / "plugins"
    directory.mkdir(parents=True)
    return directory


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_plugin_works_without_options_and_says_what_it_is(name: str) -> None:
    plugin = load_plugins({name: {}}, {})[name]
    assert isinstance(plugin, Plugin)
    assert type(plugin).__doc__ != Plugin.__doc__
    assert all(isinstance(package, str) for package in plugin.packages())


def test_a_section_alone_enables_and_later_layers_win_key_by_key() -> None:
    layers = [
        parse_layer("[plugins.ccache]\n", name="system"),
        parse_layer('[plugins.ccache]\nmax_size = "5G"\n', name="user"),
        parse_option("plugins.ccache.compress=false"),
    ]
    resolved = resolve(layers)
    assert resolved.settings.plugins == {"ccache": {"enabled": True, "max_size": "5G", "compress": False}}
    assert resolved.origins["plugins.ccache.max_size"] == "user"
    assert load_plugins(resolved.settings.plugins, resolved.origins)["ccache"].environment is not None


def test_a_disabled_plugin_is_not_used_and_still_shown() -> None:
    settings = {"hw_info": {"enabled": False}}
    assert load_plugins(settings, {}) == {}
    assert list(load_plugins(settings, {}, disabled=True)) == ["hw_info"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[plugins.cache]\n", "did you mean ccache?"),
        ("[plugins.ccache]\nmaxsize = 1\n", "did you mean max_size?"),
        ('[plugins."../evil"]\n', "there are"),
    ],
)
def test_unknown_names_are_refused_with_a_suggestion(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_layer(text, name="file")
    assert says in caught.value.hint


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ccache": {"max_size": "lots"}}, "plugins.ccache.max_size"),
        ({"bind_mount": {"dirs": [{"source": "relative", "target": "/x"}]}}, "no absolute path"),
        ({"bind_mount": {"dirs": [{"source": "/x", "target": "/usr"}]}}, "would hide"),
        ({"bind_mount": {"dirs": [{"source": "/x", "target": "/a/../proc"}]}}, "no absolute path"),
        ({"bind_mount": {"dirs": [{"source": "/", "target": "/host"}]}}, "no absolute path"),
        ({"chroot_scan": {"regexes": ["("]}}, "no regular expression"),
    ],
)
def test_bad_options_are_refused(options: dict[str, dict[str, object]], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_plugins(options, {})
    assert says in str(caught.value)


def test_a_project_cannot_enable_a_plugin() -> None:
    with pytest.raises(ConfigError, match="may not be set by a project"):
        parse_layer("[plugins.ccache]\n", name=".deb-mock.toml", project=True)


def test_one_file_is_a_plugin(mine: Path) -> None:
    (mine / "mine.py").write_text(MINE.format(api=1))
    assert "mine" in list_plugins()
    assert find_plugin("mine", where="x").model_fields["level"].default == 3
    with pytest.raises(ConfigError) as caught:
        parse_layer("[plugins.mine]\nlevle = 4\n", name="file")
    assert caught.value.hint == "did you mean level?"


def test_an_entry_point_is_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a Python package that is installed beside deb-mock has."""
    about = tmp_path / "their_plugins-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-plugins\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[deb_mock.plugins]\ntheirs = their_plugins_module:Plugin\n")
    (tmp_path / "their_plugins_module.py").write_text(MINE.format(api=1))
    monkeypatch.syspath_prepend(tmp_path)
    assert "theirs" in list_plugins()
    assert load_plugins({"theirs": {"level": 5}}, {})["theirs"].model_dump()["level"] == 5
    (tmp_path / "their_plugins_module.py").unlink()
    sys.modules.pop("their_plugins_module")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        find_plugin("theirs", where="x")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (MINE.format(api=2), "written for interface 2, not 1"),
        ("class Plugin: pass", "has no class Plugin"),
        ("raise OSError('broken')", "cannot be loaded"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_an_error(mine: Path, code: str, says: str) -> None:
    (mine / "mine.py").write_text(code)
    with pytest.raises(ConfigError, match=says):
        find_plugin("mine", where="x")


def test_the_interface_has_every_hook() -> None:
    assert all(getattr(Plugin, hook).__doc__ for hook in HOOKS)


def test_a_plugin_may_set_keys_of_sections_only(mine: Path) -> None:
    sets = '    def settings(self):\n        return {{"{key}": {value}}}\n'
    for key, value, says in (
        ("plugins.ccache.enabled", "True", "may not set plugins.ccache.enabled"),
        ("suite", '"sid"', "may not set suite"),
        ("root.tmpfs", '"perhaps"', "root.tmpfs"),
        ("root.tmfps", '"yes"', "root.tmfps"),
    ):
        (mine / "mine.py").write_text(MINE.format(api=1) + "\n" + sets.format(key=key, value=value))
        with pytest.raises(ConfigError, match=re.escape(says)):
            choose(preset="trixie", arch="amd64", options=["plugins.mine.enabled=true"])


def test_what_is_no_plugin_here_says_what_it_is() -> None:
    with pytest.raises(ConfigError) as caught:
        find_plugin("root_cache", where="x")
    assert caught.value.hint == ELSEWHERE["root_cache"]
    assert not set(ELSEWHERE) & set(SHIPPED)


def package(name: str, *, version: str = "1", uri: str | None = None) -> Package:
    return Package(name=name, version=version, arch="amd64", sha256=name, filename=f"pool/{name}.deb", uri=uri)


LOCK = Lock(
    preset="debian-trixie-amd64", suite="trixie", arch="amd64",
    packages=tuple(locked_package(replace(package(name), sha256="0" * 64), base=True) for name in ("base", "tool")),
)  # fmt: skip


class Needs(Plugin):
    """Wants packages."""

    api: ClassVar[int] = 1
    names: tuple[str, ...] = ()

    def packages(self) -> tuple[str, ...]:
        return self.names


@pytest.mark.parametrize(
    ("plugin", "locked", "verifies", "says"),
    [
        (Needs(names=("other",)), False, False, ""),
        (Needs(names=("tool",)), True, False, ""),
        (Needs(names=("tool", "other")), True, False, "does not have its package other"),
        (Needs(names=("other",)), True, True, ""),
        (CCache(), True, False, "nothing else may decide"),
        (CCache(), True, True, ""),
    ],
)
def test_with_a_lock_only_plugins_that_it_knows(plugin: Plugin, locked: bool, verifies: bool, says: str) -> None:
    order = replace(ORDER, lock=LOCK if locked else None, verifies=verifies)
    found = find_objection("mine", plugin, order)
    assert says in found
    assert bool(found) is bool(says)


def test_each_layer_is_told_by_what_it_brought(tmp_path: Path) -> None:
    base = Layer("base", tmp_path, (), (package("a"), package("b")), "amd64", "trixie")
    newer = replace(package("b", version="2"), sha256="other")
    top = Layer("top", tmp_path, (base,), (package("a"), newer, package("c")), "amd64", "trixie")
    found = describe_layers(BuildRoot(base=base, layer=top, lock=LOCK, installed=2))
    assert [(layer.id, [f"{p.name} {p.version}" for p in layer.packages]) for layer in found] == [
        ("base", ["a 1", "b 1"]),
        ("top", ["b 2", "c 1"]),
    ]


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("http://deb.example/debian/pool/x.deb", "deb.example/debian"),
        ("https://me:secret@deb.example:8080/debian/pool/x.deb", "deb.example:8080/debian"),
        ("file:/srv/repo/pool/x.deb", "file:/srv/repo"),
        (None, "this host"),
    ],
)
def test_where_a_package_came_from_has_no_password(uri: str | None, origin: str) -> None:
    assert find_origin(package("x", uri=uri)) == origin


def test_plugins_ask_for_checks_and_signatures(tmp_path: Path) -> None:
    options = ["plugins.lintian.enabled=true", "plugins.blhc.enabled=true", 'plugins.sign.command=["sq", "x"]']
    order = replace(ORDER, choice=choose(preset="trixie", arch="amd64", options=options))
    log = BuildLog(tmp_path / "log")
    done = Applied(order, None, log).complete(order)  # type: ignore[arg-type]
    assert done.gate is not None
    assert (done.gate.checks, done.sign) == (("lintian", "blhc"), True)
    assert done.choice.settings.sign.command == ("sq", "x")
    more = replace(order, gate=replace(done.gate, checks=("install",)))
    again = Applied(more, None, log).complete(more).gate  # type: ignore[arg-type]
    assert again is not None
    assert again.checks == ("lintian", "blhc", "install")
    second = replace(order, lock=LOCK, verifies=True)
    assert Applied(second, None, log).complete(second) == second  # type: ignore[arg-type]
    log.close()


READ: dict[str, Callable[[Path], bytes]] = {
    "gz": lambda path: gzip.decompress(path.read_bytes()),
    "xz": lambda path: lzma.decompress(path.read_bytes()),
    "zst": lambda path: zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes()),
}


@pytest.mark.parametrize("method", READ)
def test_logs_are_compressed_and_nothing_else(tmp_path: Path, method: str) -> None:
    directory = JobDirectory(tmp_path)
    for name in ("build.log", "x.deb"):
        (tmp_path / name).write_bytes(b"line\n" * 9999)
    outputs = (directory.output("build.log", "log"), directory.output("x.deb", "deb"))
    assert compress_logs(directory, outputs, "") == outputs
    packed = compress_logs(directory, outputs, method)
    assert [output.path for output in packed] == [f"build.log.{method}", "x.deb"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(output.path for output in packed)
    assert READ[method](tmp_path / f"build.log.{method}") == b"line\n" * 9999
    assert packed[0] == directory.output(f"build.log.{method}", "log")
    result = Result(job="x", attempt=1, status=Status.BUILT, outputs=packed)
    assert log_name(result) == f"build.log.{method}"


def test_a_compressed_log_that_a_kill_left_goes_with_the_next_build(tmp_path: Path) -> None:
    for name in ("build.log", *(f"build.log.{method}" for method in READ), ".build.log.zst.x7", "mine.gz"):
        (tmp_path / name).touch()
    assert clear_directory(tmp_path) is False
    assert [path.name for path in tmp_path.iterdir()] == ["mine.gz"]


def test_a_log_without_room_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = JobDirectory(tmp_path)
    (tmp_path / "build.log").write_text("kept\n")
    outputs = (directory.output("build.log", "log"),)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(logs, "_compress", full)
    assert compress_logs(directory, outputs, "zst") == outputs
    assert (tmp_path / "build.log").read_text() == "kept\n"


@pytest.mark.parametrize("where", [{"plain_logs": True}, {"verifies": True}])
def test_logs_that_others_read_stay(tmp_path: Path, where: dict[str, bool]) -> None:
    choice = choose(preset="trixie", arch="amd64", options=["plugins.compress_logs.enabled=true"])
    order, log = replace(ORDER, choice=choice), BuildLog(tmp_path / "log")
    assert Applied(order, None, log).compression == "zst"  # type: ignore[arg-type]
    assert Applied(replace(order, **where), None, log).compression == ""  # type: ignore[arg-type]
    log.close()


@pytest.mark.parametrize("method", ['"bz2"', "['gz']", "7"])
def test_a_method_that_does_not_exist_is_refused_before_anything_is_built(
    mine: Path, tmp_path: Path, method: str
) -> None:
    (mine / "mine.py").write_text(f"{MINE.format(api=1)}\n    def compression(self):\n        return {method}\n")
    order, log = replace(ORDER, choice=choose_mine()), BuildLog(tmp_path / "log")
    with pytest.raises(ConfigError, match=r"plugins\.mine: wants logs as") as caught:
        Applied(order, None, log)  # type: ignore[arg-type]
    assert caught.value.hint == "there are gz, xz, zst"
    log.close()


@pytest.mark.parametrize("method", ["packages", "influences", "settings", "checks", "signs", "compression"])
def test_whatever_a_plugin_raises_names_the_plugin(mine: Path, tmp_path: Path, method: str) -> None:
    (mine / "mine.py").write_text(f"{MINE.format(api=1)}\n    def {method}(self):\n        return {{}}['x']\n")
    log = BuildLog(tmp_path / "log")

    def use() -> None:
        order = replace(ORDER, choice=choose_mine())
        plugin_packages(order.choice)
        applied = Applied(order, None, log)  # type: ignore[arg-type]
        applied.complete(order)
        assert applied.influences == ()

    with pytest.raises(HostFailed, match=f"the plugin mine failed in {method}: KeyError"):
        use()
    log.close()


def choose_mine() -> Choice:
    return choose(preset="trixie", arch="amd64", options=["plugins.mine.enabled=true"])
