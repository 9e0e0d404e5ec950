"""A real tree: made from .debs, linted, committed, imported as bootc would, and made again with the same bytes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from datetime import date
from pathlib import Path
from typing import Literal

import pytest

from deb_bootc_compose.lints.check import Waiver, check_root, check_tree
from deb_bootc_compose.oci.image import ImageConfig, load_plan, write_layout
from deb_bootc_compose.oci.plan import Rule
from deb_bootc_compose.oci.replay import Kept, replay_import
from deb_bootc_compose.ostree import (
    Commit,
    Repository,
    commit,
    fsck,
    init_repo,
    root_checksums,
    sign_summary,
    verify,
)
from deb_bootc_compose.tree import stages
from deb_bootc_compose.tree.make import Tree, TreeSpec, make_tree, tree_id
from deb_bootc_compose.tree.outside import run_tools
from deb_bootc_compose.tree.spec import AddFile
from debcore.command import run
from debcore.errors import Failure
from debcore.openpgp import Signer, generate_key
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Package, Store

pytestmark = pytest.mark.root

OSTREE_ONLY = Waiver(lint="bootc-client", reason="updates by OSTree only", until=date(2099, 12, 31))
TIMESTAMP = 1_760_000_000


def look(store: Store, tools: Layer, tree: Tree, script: str) -> str:
    """What a shell of the tools root says about the tree at /tree."""
    return run_tools(store, tools, ["sh", "-c", script], binds=[Bind(source=tree.root, target="/tree")]).decode()


def test_all_lints_pass_but_for_the_client(store: Store, tools: Layer, tree: Tree) -> None:
    report = check_tree(store, tree, waivers=[OSTREE_ONLY], today=date(2026, 1, 1), tools=tools)
    assert report.ok, report.failed
    assert [r.finding.lint for r in report.results] == ["bootc-client"]
    assert json.loads(report.to_json())["ok"]


def test_a_layer_that_was_not_finished_fails_the_lints(store: Store, tools: Layer, spec: TreeSpec) -> None:
    base = stages.make_base_stage(store, spec.base, suite=spec.suite, arch=spec.arch, log=None)
    found = {f.lint for f in check_root(store, tools, base.root, None)}
    assert {"baseimage-root", "baseimage-composefs", "dpkg-database", "initramfs", "top-level"} <= found


def test_package_queries_answer_and_nothing_is_half_installed(store: Store, tools: Layer, tree: Tree) -> None:
    query = "dpkg-query --admindir=/tree/usr/lib/sysimage/dpkg -W -f '${Package} ${Version} ${Architecture}\\n'"
    listed = {tuple(line.split()) for line in look(store, tools, tree, query).splitlines()}
    assert listed == {(p.name, p.version, p.arch) for p in tree.packages}
    assert look(store, tools, tree, "dpkg --admindir=/tree/usr/lib/sysimage/dpkg --audit") == ""


def test_own_files_units_and_identity(store: Store, tools: Layer, tree: Tree) -> None:
    assert look(store, tools, tree, "cat /tree/etc/motd; readlink /tree/etc/issue.net") == "Hello\nissue\n"
    preset = look(store, tools, tree, "cat /tree/usr/lib/systemd/system-preset/20-image.preset").splitlines()
    assert {"enable ssh.service", "enable systemd-networkd.service", "enable getty@.service"} <= set(preset)
    assert preset[-1] == "disable *"
    assert "apt-daily" not in "\n".join(preset)
    assert look(store, tools, tree, "readlink /tree/etc/systemd/system/rescue.target").strip() == "/dev/null"
    assert look(store, tools, tree, "cat /tree/etc/machine-id").strip() == "uninitialized"
    assert 'VARIANT_ID="server"' in look(store, tools, tree, "cat /tree/usr/lib/os-release")


def test_the_first_boot_enables_what_packages_enabled(store: Store, tree: Tree) -> None:
    """What PID 1 does at a first boot, in a throw-away view of the tree."""
    script = "systemctl --root=/ preset-all --preset-mode=enable-only 2>/dev/null; find /etc/systemd/system -name '*.*'"
    made = run_in(Sandbox(lowers=(tree.root,)), ["sh", "-c", script], idmap=store.idmap, capture=True).text.split()
    links = {path.removeprefix("/etc/systemd/system/") for path in made}
    assert {"multi-user.target.wants/ssh.service", "getty.target.wants/getty@tty1.service"} <= links
    assert {"local-fs.target.wants/ostree-remount.service", "sshd.service"} <= links
    assert not any(path.endswith("wants/apt-daily.timer") for path in links)


def test_python_finds_its_byte_code_fresh(store: Store, tools: Layer, tree: Tree) -> None:
    script = "chroot /tree python3 -v -c 'import json' 2>&1 | grep -c 'bytecode is stale' || true"
    assert look(store, tools, tree, script).strip() == "0"


def test_a_signed_commit_verifies_and_another_key_is_refused(
    repository: Repository, committed: Commit, signer: Signer, tmp_path: Path
) -> None:
    fsck(repository)
    sign_summary(repository, signer)
    assert verify(repository, committed.ref, signer.public_key()) == committed.checksum
    shown = repository.run("show", "--print-metadata-key=ostree.bootable", committed.checksum).decode()
    assert shown.strip() == "true"
    assert repository.run("show", "--print-metadata-key=version", committed.checksum).decode().strip() == "'13.1'"
    stranger = generate_key(tmp_path / "key", "Somebody else <else@example.org>")
    with pytest.raises(Failure, match="does not verify"):
        verify(repository, committed.ref, stranger.public_key())


def test_a_tampered_object_is_found(store: Store, tools: Layer, place: Path) -> None:
    shutil.rmtree(place / "small", ignore_errors=True)
    small = init_repo(store, place / "small", suite="trixie", mode="bare", tools=tools)
    with store.workplace("content") as work:
        (work / "content" / "file").write_text("good")
        bind = Bind(source=work / "content", target="/content")
        small.run("commit", "--branch=x", "--tree=dir=/content", "--timestamp=@0", binds=(bind,))
    fsck(small)
    victim = next(path for path in (place / "small/objects").rglob("*.file"))
    victim.write_text("evil")
    with pytest.raises(Failure, match="is damaged"):
        fsck(small)
    shutil.rmtree(place / "small")


@pytest.mark.parametrize("compression", ["zstd", pytest.param("gzip", marks=pytest.mark.slow)])
def test_the_image_imported_as_bootc_does_is_the_commit(
    store: Store, tools: Layer, repository: Repository, tree: Tree, committed: Commit, tmp_path: Path,
    compression: Literal["zstd", "gzip"], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With layers of the manifest; layers that were imported are not imported again; the same again from the plan and
    the bytes before.
    """
    rules = (Rule("shell", packages=("bash", "libc6"), paths=("/usr/lib/os-release",)), Rule("own", paths=("/etc/i*",)))
    config = ImageConfig(
        version="13.1", timestamp=TIMESTAMP, title="Server", tag="13", labels={"example": "yes"}, max_layers=24,
        compression=compression, rules=rules, by_name=compression == "gzip",
    )  # fmt: skip
    image = write_layout(store, tree, tmp_path / "oci", config, tools=tools)
    told = json.loads(
        run_tools(store, tools, ["skopeo", "inspect", "oci:/l:13"], binds=[Bind(source=image.path, target="/l")])
    )
    assert told["Digest"] == image.digest
    assert told["Labels"]["containers.bootc"] == "1"
    assert told["Labels"]["ostree.bootable"] == "true"
    assert told["Architecture"] == "amd64"
    assert len(told["Layers"]) == image.layers <= 24
    assert {"own:shell", "own:own", "kernel", "initramfs", "hwdb", "etc", "database"} <= {
        layer["name"] for layer in image.plan["layers"]
    }
    with monkeypatch.context() as patch:
        patch.setattr(Kept, "load", lambda _self, _digests: {})
        result = replay_import(repository, image.path, committed.checksum)
    assert result.equal, result.differences
    assert (result.layers, result.taken) == (image.layers, 0)
    result = replay_import(repository, image.path, committed.checksum)
    assert result.equal, result.differences
    assert result.taken == image.layers
    again = write_layout(store, tree, tmp_path / "again", config, previous=image.path, tools=tools)
    assert again.digest == image.digest
    assert all(layer["reused"] for layer in again.plan["layers"])


def test_what_was_packed_by_other_tools_is_taken_from_the_image_before_or_not_at_all(
    store: Store, tools: Layer, tree: Tree, tmp_path: Path
) -> None:
    """A layer whose content did not change has the digest that clients have; the lock alone cannot give it then."""
    config = ImageConfig(version="13.1", timestamp=TIMESTAMP, max_layers=8, compression="zstd")
    image = write_layout(store, tree, tmp_path / "oci", config, tools=tools)
    told = load_plan(image.path)
    assert write_layout(store, tree, tmp_path / "same", config, before=told, tools=tools).digest == image.digest
    told["layers"][-1]["digest"] = "0" * 64
    with pytest.raises(Failure, match="was packed by other tools then"):
        write_layout(store, tree, tmp_path / "other", config, before=told, tools=tools)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_what_layers_gave_before_does_not_hide_that_image_and_commit_differ(
    store: Store, tools: Layer, repository: Repository, tree: Tree, committed: Commit, tmp_path: Path
) -> None:
    image = write_layout(store, tree, tmp_path / "oci", ImageConfig(version="1", timestamp=TIMESTAMP), tools=tools)
    assert replay_import(repository, image.path, committed.checksum).equal
    with store.workplace("content") as place:
        (place / "content/usr").mkdir()
        (place / "content/usr/other").write_text("other")
        bind = Bind(source=place / "content", target="/content")
        other = repository.run("commit", "--branch=test/other", "--tree=dir=/content", binds=(bind,)).decode().strip()
    result = replay_import(repository, image.path, other)
    assert (result.equal, result.taken) == (False, 0)
    assert len(result.differences) == 50


@pytest.mark.slow
def test_an_initramfs_that_is_kept_is_the_one_that_dracut_would_make(
    store: Store, tools: Layer, repository: Repository, spec: TreeSpec, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO", "deb_bootc_compose.tree.kept")
    first, second = (dataclasses.replace(spec, hub=add_demo(store, tmp_path, version)) for version in ("11", "12"))
    made = [make_tree(store, first, tools=tools)]
    caplog.clear()
    made.append(make_tree(store, second, tools=tools))
    assert "is the same" in caplog.text
    roots = []
    for again in (False, True):
        if again:
            store.remove(made[1].layer.id)
            for note in (store.path / "resolved").glob("finished-*"):
                note.unlink()
            caplog.clear()
            made[1] = make_tree(store, second, tools=tools)
            assert caplog.text == ""
        committed = commit(repository, made[1], ref="test/kept", version="1", timestamp=TIMESTAMP)
        roots.append(root_checksums(repository, committed.checksum))
    assert roots[0] == roots[1]
    for tree in made:
        store.remove(tree.layer.id)


@pytest.mark.slow
def test_two_runs_give_the_same_bytes(
    store: Store, tools: Layer, repository: Repository, tree: Tree, committed: Commit, pinned: TreeSpec
) -> None:
    """The second run is never taken from the store, and starts from the ledger of the first."""
    second = f"tree-{tree_id(pinned)[:24]}"
    base = stages.make_base_stage(store, pinned.base, suite=pinned.suite, arch=pinned.arch, log=None)
    keys = {"packages": stages.package_keys(pinned.archive), "ids": pinned.finish.ids}
    for key in (second, stages.make_key("archive", base.id, keys)):
        if store.find(key):
            store.remove(key)
    again = make_tree(store, pinned, tools=tools)
    assert again.id != tree.id
    assert again.ids == tree.ids
    other = commit(repository, again, ref="test/again", version="13.1", timestamp=TIMESTAMP)
    differences = repository.run("diff", committed.checksum, other.checksum).decode()
    assert root_checksums(repository, other.checksum) == root_checksums(repository, committed.checksum), differences
    store.remove(second)


def make_deb(where: Path, *, version: str, script: str = "") -> Path:
    """A package with one file, and *script* as its postinst."""
    package = where / f"demo-{version}"
    (package / "usr/share/demo").mkdir(parents=True)
    (package / "usr/share/demo/version").write_text(version)
    (package / "DEBIAN").mkdir()
    fields = "Section: misc\nPriority: optional\nMaintainer: Nobody <nobody@example.org>\nDescription: demo\n"
    (package / "DEBIAN/control").write_text(f"Package: demo\nVersion: {version}\nArchitecture: all\n{fields}")
    if script:
        (package / "DEBIAN/postinst").write_text(f"#!/bin/sh\nset -e\n{script}\n")
        (package / "DEBIAN/postinst").chmod(0o755)
    run(["dpkg-deb", "--root-owner-group", "-b", package, where / f"demo_{version}_all.deb"])
    return where / f"demo_{version}_all.deb"


def add_demo(store: Store, where: Path, version: str, script: str = "") -> tuple[Package, ...]:
    return (store.add_deb(make_deb(where, version=version, script=script)),)


def test_a_hub_package_reruns_its_own_stage_only(store: Store, tools: Layer, spec: TreeSpec, tmp_path: Path) -> None:
    base = stages.make_base_stage(store, spec.base, suite=spec.suite, arch=spec.arch, log=None)
    first = add_demo(store, tmp_path, "1")
    one = stages.make_package_stage(store, "hub", base, first, tools=tools)
    two = stages.make_package_stage(store, "hub", base, add_demo(store, tmp_path, "2"), tools=tools)
    assert one.parents == two.parents == (base,)
    assert one.id != two.id
    assert stages.make_package_stage(store, "hub", base, first, tools=tools).id == one.id
    for layer in (one, two):
        store.remove(layer.id)


def test_a_maintainer_script_that_fails_is_shown(store: Store, tools: Layer, spec: TreeSpec, tmp_path: Path) -> None:
    base = stages.make_base_stage(store, spec.base, suite=spec.suite, arch=spec.arch, log=None)
    broken = add_demo(store, tmp_path, "3", script="echo no kitchen sink; exit 1")
    with pytest.raises(Failure, match="no kitchen sink"):
        stages.make_package_stage(store, "hub", base, broken, tools=tools)


def test_what_nobody_classified_stops_the_compose(store: Store, tools: Layer, spec: TreeSpec, tmp_path: Path) -> None:
    """A file that a maintainer script leaves in /var is named; nothing half-made is kept."""
    hub = add_demo(store, tmp_path, "4", script="mkdir -p /var/lib/demo; echo x > /var/lib/demo/state")
    other = dataclasses.replace(spec, hub=hub)
    with pytest.raises(Failure, match="/var/lib/demo/state"):
        make_tree(store, other, tools=tools)
    assert store.find(f"tree-{tree_id(other)[:24]}") is None


def test_a_file_of_the_manifest_may_not_leave_the_image() -> None:
    for path in ("etc/motd", "/etc/../motd", "/run/x", "/"):
        with pytest.raises(Failure):
            AddFile(path=path)
