"""Presets and layers: what wins, what is refused, and that a person learns the next step."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deb_mock import config
from deb_mock.cli.options import plugin_options
from deb_mock.config import choose
from deb_mock.preset import (
    describe_presets,
    find_preset,
    find_preset_for_distribution,
    list_presets,
    load_presets,
)
from deb_mock.settings import Layer, flatten, merge, nest, parse_layer, parse_option, resolve
from debcore.errors import ConfigError, Failure


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of the machine that runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(config, "SYSTEM_FILE", tmp_path / "system.toml")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("debian-trixie-amd64", "debian-trixie-amd64"),
        ("debian-trixie", "debian-trixie-amd64"),
        ("trixie", "debian-trixie-amd64"),
        ("stable", "debian-trixie-amd64"),
        ("unstable", "debian-sid-amd64"),
        ("bookworm-arm64", None),
        ("debian-bookworm-arm64", None),
        ("experimental", "debian-experimental-amd64"),
        ("rc-buggy", "debian-experimental-amd64"),
        ("stable-backports", "debian-trixie-backports-amd64"),
        ("trixie-proposed-updates", "debian-trixie-proposed-updates-amd64"),
    ],
)
def test_a_preset_is_found_by_name_suite_or_alias(name: str, found: str | None) -> None:
    if found:
        assert find_preset(name, arch="amd64").name == found
    else:
        with pytest.raises(ConfigError):
            find_preset(name, arch="amd64")


@pytest.mark.parametrize(
    ("distribution", "suite"),
    [
        ("unstable", "sid"),
        ("UNRELEASED", "sid"),
        ("sid", "sid"),
        ("trixie", "trixie"),
        ("trixie-security", "trixie"),
        ("trixie-updates", "trixie"),
        ("bookworm-proposed-updates", "bookworm"),
        ("experimental", "sid"),
        ("bookworm-backports", "bookworm"),
    ],
)
def test_a_changelog_chooses_the_suite(distribution: str, suite: str) -> None:
    preset = find_preset_for_distribution(distribution, arch="amd64")
    assert preset.resolved().settings.suite == suite


def test_an_unknown_distribution_says_to_choose() -> None:
    with pytest.raises(Failure, match="bullseye") as caught:
        find_preset_for_distribution("bullseye", arch="amd64")
    assert "-r" in caught.value.hint


def test_every_shipped_preset_is_complete() -> None:
    names = list_presets()
    assert {f"debian-{s}-{a}" for s in ("bookworm", "trixie", "forky", "sid") for a in ("amd64", "arm64")} <= set(names)
    for name in names:
        settings = find_preset(name, arch=name.rpartition("-")[2]).resolved().settings
        assert settings.archive.components == ("main",)
        assert "fakeroot" in settings.root.packages


@pytest.mark.parametrize(
    ("name", "arch", "found"),
    [
        ("trixie", "riscv64", "debian-trixie-riscv64"),
        ("debian-bookworm", "mips64el", "debian-bookworm-mips64el"),
        ("debian-sid-loong64", None, "debian-sid-loong64"),
        ("experimental", "s390x", "debian-experimental-s390x"),
    ],
)
def test_each_architecture_of_a_suite_has_a_preset(name: str, arch: str | None, found: str) -> None:
    settings = find_preset(name, arch=arch).resolved().settings
    assert (find_preset(name, arch=arch).name, settings.arch) == (found, arch or "loong64")


@pytest.mark.parametrize(("name", "arch"), [("trixie", "mips64el"), ("debian-sid", "armel"), ("stable", "hurd-amd64")])
def test_an_architecture_that_the_suite_lacks_is_named_with_those_it_has(name: str, arch: str) -> None:
    with pytest.raises(ConfigError, match=f"has no architecture {arch}") as caught:
        find_preset(name, arch=arch)
    assert "amd64" in caught.value.hint
    assert arch not in caught.value.hint


def test_the_list_of_presets_says_what_each_is() -> None:
    listed = {entry.name: entry for entry in describe_presets()}
    assert "debian-trixie-amd64" not in listed
    assert listed["debian-experimental"].names == ("experimental", "rc-buggy")
    assert all(entry.description and entry.architectures for entry in listed.values())


def test_a_presets_file_wins_over_the_one_that_follows_from_its_architectures(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text("suite = 'one'\narchitectures = ['amd64', 'arm64']\n")
    (tmp_path / "acme-arm64.toml").write_text("inherits = 'acme'\narch = 'arm64'\n[limits]\ntime = '1h'\n")
    presets = load_presets((tmp_path,))
    assert list_presets(presets) == ["acme-arm64", "acme-amd64"]
    assert find_preset("one", presets, arch="arm64").resolved().settings.limits.time == 3600


def test_a_misspelt_preset_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError) as caught:
        find_preset("debian-trixi", arch="amd64")
    assert "debian-trixie-amd64" in caught.value.hint


def test_a_preset_that_inherits_itself_is_refused() -> None:
    presets = {"a": Layer("a", {"inherits": "b"}), "b": Layer("b", {"inherits": "a"})}
    with pytest.raises(ConfigError, match="inherits itself"):
        find_preset("a", presets, arch="amd64")


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("[build]\nprofile = ['x']", "build.profile", "build.profiles"),
        ("profiles = ['x']", "profiles", "build.profiles"),
        ("[limits]\nmemory = 'much'", "limits.memory", "config show"),
        ("[build]\ntype = 'half'", "build.type", "config show"),
        ("build = 3", "build", "config show"),
        ("[build", "f", "TOML"),
    ],
)
def test_bad_configuration_names_the_key_and_the_next_step(text: str, where: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_layer(text, name="f")
    assert where in caught.value.where
    assert hint in caught.value.hint


@pytest.mark.parametrize("key", ["source.require_signature = false", "archive.mirror = 'http://x'", "inherits = 'x'"])
def test_a_project_may_not_decide_whom_to_trust(key: str) -> None:
    with pytest.raises(ConfigError, match="may not be set by a project"):
        parse_layer(key, name=".deb-mock.toml", project=True)


@pytest.mark.parametrize(
    ("text", "value"), [("limits.memory=4G", 4 << 30), ("limits.silence=90min", 5400), ("limits.memory=none", None)]
)
def test_sizes_and_times_have_units(text: str, value: int | None) -> None:
    settings = resolve([parse_option(text)]).settings
    assert value in (settings.limits.memory, settings.limits.silence)


def test_lists_of_the_command_line_are_separated_by_commas() -> None:
    assert resolve([parse_option("build.profiles=nocheck,nodoc")]).settings.build.profiles == ("nocheck", "nodoc")


def test_later_layers_win_and_origins_say_so(tmp_path: Path) -> None:
    (tmp_path / "system.toml").write_text("[limits]\nmemory = '1G'\ndisk = '1G'\n[build]\nparallel = 3\n")
    (tmp_path / "config" / "deb-mock").mkdir(parents=True)
    (tmp_path / "config" / "deb-mock" / "config.toml").write_text("[limits]\nmemory = '2G'\n")
    project = tmp_path / "package"
    project.mkdir()
    (project / ".deb-mock.toml").write_text("[limits]\nmemory = '3G'\ndisk = '3G'\n")
    choice = config.choose(preset="trixie", arch="amd64", project=project, options=["limits.memory=4G"])
    limits, origins = choice.settings.limits, choice.resolved.origins
    assert (limits.memory, limits.disk, choice.settings.build.parallel) == (4 << 30, 3 << 30, 3)
    assert origins["limits.memory"] == "--set limits.memory"
    assert origins["limits.disk"] == str(project / ".deb-mock.toml")
    assert origins["build.parallel"] == str(tmp_path / "system.toml")
    assert origins["suite"] == "preset debian-trixie"


def test_a_file_cannot_change_the_suite_under_a_presets_name(tmp_path: Path) -> None:
    (tmp_path / "system.toml").write_text("suite = 'sid'\n")
    assert config.choose(preset="trixie", arch="amd64").suite == "trixie"


def test_the_configured_preset_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "system.toml").write_text("preset = 'bookworm'\n")
    assert config.choose(arch="amd64").preset.name == "debian-bookworm-amd64"
    assert config.choose(arch="amd64", distribution="unstable").preset.name == "debian-sid-amd64"


def test_presets_of_the_host_add_to_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("inherits = 'debian-trixie-amd64'\n[build]\nprofiles = ['nocheck']\n")
    from deb_mock.preset import SHIPPED

    presets = load_presets((SHIPPED, tmp_path))
    assert find_preset("mine", presets, arch="amd64").resolved().settings.build.profiles == ("nocheck",)


@pytest.mark.parametrize("key", ["starting_build", "starting-build", "starting-build-commands"])
def test_hooks_have_sbuilds_names(key: str) -> None:
    layer = parse_layer(f'[hooks]\n{key} = ["true"]\n', name="file")
    assert resolve([layer]).settings.hooks.starting_build == ("true",)
    assert resolve([parse_option(f"hooks.{key}=true")]).settings.hooks.starting_build == ("true",)


@pytest.mark.parametrize("key", ["pre_build", "post-build", "post-build-failed-commands"])
def test_a_project_runs_nothing_on_the_host(key: str) -> None:
    with pytest.raises(ConfigError, match="may not be set by a project"):
        parse_layer(f'[hooks]\n{key} = ["touch /tmp/owned"]\n', name=".deb-mock.toml", project=True)


def test_a_project_may_run_commands_in_its_own_root() -> None:
    layer = parse_layer('[hooks]\nstarting-build = ["true"]\n', name=".deb-mock.toml", project=True)
    assert resolve([layer]).settings.hooks.starting_build == ("true",)


def test_mocks_plugin_tmpfs_sets_settings_of_the_root_and_nothing_else() -> None:
    given: list[str] = []

    @click.command()
    @plugin_options
    @click.option("settings", "--set", multiple=True)
    def command(*, settings: tuple[str, ...]) -> None:
        given.extend(settings)

    words = ["--enable-plugin", "tmpfs", "--plugin-option", "tmpfs:max_fs_size=768m"]
    assert CliRunner().invoke(command, words).exit_code == 0
    choice = choose(preset="trixie", arch="amd64", options=given)
    root = choice.settings.root
    assert (root.tmpfs, root.max_fs_size, root.required_ram_mb) == ("yes", 768 << 20, 900)
    assert choice.resolved.origins["root.tmpfs"] == "plugin tmpfs"
    choice = choose(preset="trixie", arch="amd64", options=[*given, "root.tmpfs=no"])
    assert (choice.settings.root.tmpfs, choice.resolved.origins["root.tmpfs"]) == ("no", "--set root.tmpfs")
    choice = choose(preset="trixie", arch="amd64", options=[*given, "plugins.tmpfs.enabled=false"])
    assert choice.settings.root.tmpfs == "no"
    with pytest.raises(ConfigError, match="may not be set by a project"):
        parse_layer('[root]\ntmpfs = "yes"\n', name="x", project=True)


def test_dotted_keys_and_sections_are_the_same_and_the_last_value_wins() -> None:
    values = {"suite": "sid", "root": {"tmpfs": "yes"}, "plugins": {"ccache": {"max_size": "1G"}}}
    assert nest(flatten(values)) == values
    assert merge([Layer("a", values), Layer("b", {"root": {"tmpfs": "no"}, "plugins": {"ccache": {}}})]) == {
        "suite": "sid",
        "root": {"tmpfs": "no"},
        "plugins": {"ccache": {"max_size": "1G", "enabled": True}},
    }
