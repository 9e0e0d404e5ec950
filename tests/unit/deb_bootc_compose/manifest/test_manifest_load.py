"""Manifests: what they mean, and that every mistake is named with its file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from deb_bootc_compose.manifest import Manifest, load_manifest
from deb_bootc_compose.manifest.load import merged_document
from deb_bootc_compose.manifest.schema import manifest_schema
from debcore.errors import ConfigError

TOP = """\
schema: deb-bootc-compose/1
release: {name: Example, short: Example, version: "13"}
suite: trixie
variables: {kernel: "linux-image-cloud-${suite}"}
include: base.tree.yaml
builds:
  - source: agent
  - {archive: hostname, suffix: "+local1"}
variants:
  server:
    arches: [amd64]
    ref: example/${suite}/${arch}/server
    packages: [agent]
"""
BASE = """\
packages: ["${kernel}", systemd]
packages-amd64: [shim-signed]
packages-arm64: [u-boot-tools]
recommends: true
units: {enable: [ssh.service]}
add-files:
  - {from: files/motd, to: /etc/motd}
"""


def load(directory: Path, top: str = TOP, base: str = BASE, **others: str) -> Manifest:
    for name, text in {"compose": top, "base.tree": base, **others}.items():
        (directory / f"{name}.yaml").write_text(text)
    return load_manifest(directory)


def test_includes_variables_and_architectures_come_together(tmp_path: Path) -> None:
    manifest = load(tmp_path)
    (spec,) = manifest.specs
    assert spec.variant.packages == ("linux-image-cloud-trixie", "systemd", "agent", "shim-signed")
    assert spec.variant.ref == "example/trixie/amd64/server"
    assert spec.variant.recommends is True
    assert spec.variant.add_files[0].source == str(tmp_path / "files/motd")
    assert manifest.compose.builds[0].source == str(tmp_path / "agent")


def test_every_value_knows_where_it_stands(tmp_path: Path) -> None:
    origins = load(tmp_path).origins
    at = "variants.server.amd64"
    assert origins[f"{at}.packages.0"] == f"{tmp_path}/base.tree.yaml:1"
    assert origins[f"{at}.packages.2"] == f"{tmp_path}/compose.yaml:13"
    assert origins[f"{at}.packages.3"] == f"{tmp_path}/base.tree.yaml:2"
    assert origins["builds.1.archive"] == f"{tmp_path}/compose.yaml:8"


def test_the_resolved_manifest_comes_back_from_json(tmp_path: Path) -> None:
    manifest = load(tmp_path)
    assert Manifest.from_document(json.loads(json.dumps(manifest.document()))) == manifest


def test_a_child_wins_and_reset_replaces(tmp_path: Path) -> None:
    top = TOP.replace(
        "    packages: [agent]", "    recommends: false\n    packages: !reset [agent]\n    packages-amd64: !reset []"
    )
    variant = load(tmp_path, top).specs[0].variant
    assert variant.packages == ("agent",)
    assert variant.recommends is False
    assert variant.units.enable == ("ssh.service",)


def test_conditions_choose_includes(tmp_path: Path) -> None:
    top = TOP + (
        "conditional-include:\n"
        """  - {if: 'suite == "sid"', include: sid.tree.yaml}\n"""
        """  - {if: ['suite != "sid"', 'short == "Example"'], include: stable.tree.yaml}\n"""
    )
    variant = load(tmp_path, top, **{"stable.tree": "packages: [nftables]\n"}).specs[0].variant
    assert "nftables" in variant.packages


@pytest.mark.parametrize("example", ["minimal", "server", "composefs", "workstation", "particle"])
def test_a_dumped_manifest_loads_as_the_same(tmp_path: Path, example: str) -> None:
    source = Path(__file__).resolve().parents[4] / "examples" / example
    variables = {"desktop": "none"} if "desktop" in load_manifest(source).compose.variables else {}
    document = merged_document(source, variables=variables)
    assert not {"include", "conditional-include", "variables"} & set(document)
    assert_same(load_manifest(source, variables=variables), document, tmp_path)


def test_a_dump_keeps_what_only_an_architecture_decides(tmp_path: Path) -> None:
    top = TOP.replace("    arches: [amd64]", "    arches: [amd64, arm64]").replace(
        "    packages: [agent]", "    packages: !reset [agent]\n    packages-arm64: [firmware-misc-nonfree]"
    )
    top += '    os-release: {MY_VAR: "$${HOME} of ${variant} on ${arch}, no: on", OTHER: "yes"}\n'
    manifest = load(tmp_path, top)
    document = merged_document(tmp_path)
    assert document["variants"]["server"]["ref"] == "example/trixie/${arch}/server"
    assert document["variants"]["server"]["packages"] == ["agent"]
    assert_same(manifest, document, tmp_path / "dumped")


def assert_same(manifest: Manifest, document: dict[str, object], place: Path) -> None:
    place.mkdir(exist_ok=True)
    (place / "compose.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))
    dumped = load_manifest(place)
    assert dumped.specs == manifest.specs
    assert dumped.compose == manifest.compose.model_copy(update={"variables": {}})


def test_a_dollar_can_be_meant(tmp_path: Path) -> None:
    top = TOP + '    os-release: {MY_VAR: "$${HOME} costs $5"}\n'
    assert load(tmp_path, top).specs[0].variant.os_release == {"MY_VAR": "${HOME} costs $5"}


def test_variables_can_be_set_from_outside(tmp_path: Path) -> None:
    load(tmp_path)
    manifest = load_manifest(tmp_path, variables={"kernel": "linux-image-amd64"})
    assert manifest.specs[0].variant.packages[0] == "linux-image-amd64"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("kernle", "no variable 'kernle' is used", "did you mean 'kernel'?"),
        ("zzz", "no variable 'zzz' is used", "`variables` in compose.yaml names them"),
        ("suite", "'suite' is no variable", "a variable of your own"),
    ],
)
def test_a_variable_from_outside_that_would_change_nothing(tmp_path: Path, name: str, message: str, hint: str) -> None:
    load(tmp_path)
    with pytest.raises(ConfigError, match=message) as caught:
        load_manifest(tmp_path, variables={name: "x"})
    assert caught.value.where == "--set"
    assert hint in caught.value.hint


def test_a_variable_may_have_no_value_but_that_from_outside(tmp_path: Path) -> None:
    top = TOP + '    os-release: {FLAVOUR: "${flavour}"}\n'
    with pytest.raises(ConfigError, match="flavour"):
        load(tmp_path, top)
    manifest = load_manifest(tmp_path, variables={"flavour": "x"})
    assert manifest.specs[0].variant.os_release == {"FLAVOUR": "x"}


#: (what replaces what in compose.yaml, line of the error, words of the message, words of the hint)
BAD = [
    ("suite: trixie", "suite: trixie\nsuites: sid", 4, "unknown key 'suites'", "did you mean 'suite'?"),
    ("suite: trixie", "suite: trixie\nsuite: sid", 4, "stands here twice", "line 3"),
    ("suite: trixie", "suite: 13", 3, "suite", 'write "13" in quotes'),
    ('version: "13"', "version: 13", 2, "release.version", 'write "13" in quotes'),
    ("suite: trixie", "suite: trixie\nsecurity: off", 4, "security", ""),
    ("suite: trixie", "suite: [trixie", 4, "no valid YAML", ""),
    ("suite: trixie", "suite: &x trixie", 3, "anchors", "tree.yaml"),
    ("suite: trixie", "suite: !!python/object:os.system trixie", 3, "unknown tag", ""),
    ("suite: trixie", "suite: !env trixie", 3, "unknown tag !env", "!reset"),
    ("suite: trixie", "suite: ../../etc", 3, "suite", ""),
    ("{suite}/${arch}/server", "{suite}/../server", 12, "no OSTree ref", ""),
    ("{suite}/${arch}/server", "{suite}/ser ver", 12, "no OSTree ref", ""),
    ("{suite}/${arch}/server", "{suit}/server", 12, "unknown variable ${suit}", "did you mean ${suite}?"),
    ("[amd64]", "[x86_64]", 11, "'x86_64' is no architecture", ""),
    ("[amd64]", "amd64", 10, "arches", "[amd64]"),
    ("packages: [agent]", "packages: agent", 13, "a list is wanted", "base.tree.yaml:1"),
    ("packages: [agent]", "packages: [Agent]", 13, "no package name", ""),
    ("packages: [agent]", "packages: [no]\n    recommends: no", 14, "recommends", ""),
    ("packages: [agent]", "package: [agent]", 13, "unknown key 'package'", "did you mean 'packages'?"),
    ("packages: [agent]", "packages-amd46: [agent]", 13, "no architecture", "packages-amd64"),
    ("packages: [agent]", "documentation: {kept: [man]}", 13, "documentation.kept", "did you mean 'keep'?"),
    ("packages: [agent]", "documentation: {keep: [manuals]}", 13, "documentation.keep.0", ""),
    ("packages: [agent]", "documentation: [man]", 13, "documentation", ""),
    ("packages: [agent]", "install-langs: [german]", 13, "install-langs.0", ""),
    ("packages: [agent]", "remove-files: [/var/lib/x]", 13, "`action: discard`", ""),
    ("packages: [agent]", "remove-files: [/usr/]", 13, "a whole part of the system", ""),
    ("packages: [agent]", "remove-files: [usr/share/info]", 13, "no absolute path", ""),
    ("packages: [agent]", "remove-from-packages: [[udev]]", 13, "remove-from-packages.0", ""),
    ("packages: [agent]", 'remove-from-packages: [[udev, "("]]', 13, "no regular expression", ""),
    ("packages: [agent]", 'remove-from-packages: [["/x", "y"]]', 13, "no package name", ""),
    ("packages: [agent]", 'postprocess: [""]', 13, "postprocess.0", ""),
    ("packages: [agent]", 'postprocess:\n    - true\n    - "echo ${HOME}"', 15, "unknown variable", "$${"),
    ("packages: [agent]", "boot: {kargs: [quiet]}", 13, "unknown key 'boot.kargs'", "dracut-modules"),
    ("packages: [agent]", "boot: {dracut-omit: [lvm, ostree]}", 13, "`dracut-omit` has 'ostree'", ""),
    ("packages: [agent]", "boot: {dracut-modules: [../x]}", 13, "boot.dracut-modules.0", ""),
    ("packages: [agent]", "lint: {waive: [{rule: kernel}]}", 13, "'lint.waive.0.reason' is missing", ""),
    ("packages: [agent]", 'add-files: [{from: x, to: "/etc/../../x"}]', 13, "no absolute path", ""),
    ("packages: [agent]", "units: {enable: [ssh]}", 13, "no unit name", ""),
    ("packages: [agent]", "outputs: {images: [{type: iso}]}", 13, "outputs.images.0.type", ""),
    ("  - source: agent", "  - {source: agent, archive: hostname}", 7, "either `source`", ""),
    ('suffix: "+local1"', "suffix: local", 8, "builds.1.suffix", ""),
    (', suffix: "+local1"', "", 8, "needs `suffix`", ""),
    ("include: base.tree.yaml", "include: [base.tree.yaml, base.tree.yaml]", 5, "included twice", ""),
    ("include: base.tree.yaml", "include: gone.tree.yaml", 5, "does not exist", "looked for"),
    ("schema: deb-bootc-compose/1", "schema: deb-bootc-compose/9", 1, "schema", ""),
    ("variables: {kernel:", "variables: {arch: x, kernel:", 4, "given by the manifest itself", ""),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message", "hint"), BAD, ids=[f"{b[1][:40]}" for b in BAD])
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str, hint: str
) -> None:
    assert old in TOP
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, TOP.replace(old, new))
    assert caught.value.where == f"{tmp_path}/compose.yaml:{line}", str(caught.value)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_mistake_in_an_include_is_named_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, base=BASE.replace("recommends: true", "recommends: maybe"))
    assert caught.value.where == f"{tmp_path}/base.tree.yaml:4"


def test_a_tree_may_not_say_what_to_compose(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"base\.tree\.yaml:1: 'release' belongs into compose\.yaml"):
        load(tmp_path, base="release: {name: X}\n")


@pytest.mark.parametrize(
    "text", ["", "- a\n", "just text\n", "a: b\n---\nc: d\n", "\t- x", "x: " + "[" * 60 + "]" * 60]
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, text)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_bytes(b"schema: \xff\xfe\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_manifest(tmp_path)


def test_a_missing_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_manifest(tmp_path)
    assert "init" in caught.value.hint


def test_an_include_cycle_ends(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="included twice"):
        load(tmp_path, base="include: base.tree.yaml\n")


def test_the_schema_names_every_key() -> None:
    schema = manifest_schema()
    assert {"schema", "release", "variants", "packages", "add-files", "builds"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert "TreeFile" in schema["$defs"]


def test_the_images_of_a_variant_have_one_file_system(tmp_path: Path) -> None:
    outputs = "    outputs: {images: [{type: vhd, filesystem: %s}, {type: vmdk, filesystem: %s}]}\n"
    for name in ("ext4", "xfs"):
        found = load(tmp_path, TOP + outputs % (name, name)).specs[0].variant.outputs
        assert (found.filesystem, [image.type for image in found.images]) == (name, ["vhd", "vmdk"])
    assert load(tmp_path, TOP).specs[0].variant.outputs.filesystem == "ext4"
    with pytest.raises(ConfigError, match=r"compose\.yaml:14: .*one `filesystem`: make a variant for each"):
        load(tmp_path, TOP + outputs % ("ext4", "xfs"))
    with pytest.raises(ConfigError, match="should be 'ext4' or 'xfs'"):
        load(tmp_path, TOP + outputs % ("btrfs", "btrfs"))


def test_ids_are_pinned_by_one_of_three(tmp_path: Path) -> None:
    (spec,) = load(tmp_path, base=BASE + 'users: {ids: ["g _ssh 101"], strict: true}\n').specs
    assert spec.variant.users.ids == ("g _ssh 101",)
    for wrong in ('{ids: ["g _ssh 101"], previous: true}', "{ledger: ids, previous: true}", '{ids: ["_ssh 101"]}'):
        with pytest.raises(ConfigError, match=r"one of|pattern"):
            load(tmp_path, base=f"{BASE}users: {wrong}\n")


def test_a_base_is_one_image_and_its_path_is_relative_to_the_file(tmp_path: Path) -> None:
    below = "base: {oci: ../server/compose/server/amd64/oci}\n"
    (spec,) = load(tmp_path, base=BASE + below).specs
    assert spec.variant.base is not None
    assert spec.variant.base.oci == str(tmp_path.parent / "server/compose/server/amd64/oci")
    for wrong, word in (
        ("base: {oci: x, image: host/name}", "one of"),
        ("base: {ostree: repo}", "go together"),
        ("base: {oci: x, insecure: true}", "registry"),
    ):
        with pytest.raises(ConfigError, match=word):
            load(tmp_path, base=f"{BASE}{wrong}\n")


def test_what_finishes_a_tree_appends_over_includes_and_variants(tmp_path: Path) -> None:
    shared = (
        'remove-files: [/usr/share/a]\nremove-from-packages: [[udev, "/x", "/y"]]\ninstall-langs: [de_DE.UTF-8]\n'
        "documentation: {keep: [man]}\npostprocess: [echo one]\nboot: {dracut-omit: [lvm]}\n"
    )
    own = (
        "    remove-files: [/usr/share/b]\n    documentation: {keep: [info]}\n    postprocess: [echo two]\n"
        "    boot: {dracut-modules: [crypt]}\n    install-langs: !reset [fr]\n"
    )
    manifest = load(tmp_path, TOP + own, BASE + shared)
    variant = manifest.specs[0].variant
    assert variant.remove_files == ("/usr/share/a", "/usr/share/b")
    assert variant.remove_from_packages == (("udev", "/x", "/y"),)
    assert variant.install_langs == ("fr",)
    assert variant.documentation is not None
    assert variant.documentation.keep == ("man", "info")
    assert variant.postprocess == ("echo one", "echo two")
    assert (variant.boot.dracut_modules, variant.boot.dracut_omit) == (("crypt",), ("lvm",))
    at = "variants.server.amd64.postprocess"
    assert manifest.origins[f"{at}.0"] == f"{tmp_path}/base.tree.yaml:12"
    assert manifest.origins[f"{at}.1"] == f"{tmp_path}/compose.yaml:16"
    assert_same(manifest, merged_document(tmp_path), tmp_path / "dumped")
    whole = load(tmp_path, TOP + "    documentation: null\n", BASE + shared)
    assert whole.specs[0].variant.documentation is None


def test_what_may_fail_is_one_of_the_architectures(tmp_path: Path) -> None:
    top = TOP.replace("[amd64]\n", "[amd64, arm64]\n    failable: [arm64]\n")
    assert [spec.failable for spec in load(tmp_path, top).specs] == [False, True]
    with pytest.raises(ConfigError, match=r"compose\.yaml:12: `failable` names riscv64, which is not one of `arches`"):
        load(tmp_path, top.replace("failable: [arm64]", "failable: [riscv64]"))
