"""An image on another: the base's layers byte for byte, only what is above is made, and the sum is like any other."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

import pytest

from deb_bootc_compose.derive.base import Wanted, load_layout_below, load_tree_below, take_base
from deb_bootc_compose.lints.check import check_tree
from deb_bootc_compose.lock import LockedBase
from deb_bootc_compose.oci.image import Base, Image, ImageConfig, write_layout
from deb_bootc_compose.oci.replay import replay_import
from deb_bootc_compose.ostree import Commit, Repository, commit
from deb_bootc_compose.tree.make import Tree, TreeSpec, make_tree
from deb_bootc_compose.tree.outside import run_tools
from deb_bootc_compose.tree.spec import AddFile, FinishOptions, Units
from debcore.errors import Failure
from debroot.sandbox import Bind
from debroot.store import Layer, Store
from tests.integration.tree.test_tree import OSTREE_ONLY, TIMESTAMP, add_demo, look

pytestmark = pytest.mark.root

CONFIG = ImageConfig(version="13.1", timestamp=TIMESTAMP, labels={"example": "yes"})
FINISH = FinishOptions(
    add_files=(AddFile(path="/etc/motd", content=b"Derived\n"),),
    units=Units(enable=("systemd-timesyncd.service",)),
    os_release=(("VARIANT_ID", "derived"),),
    kernel_arguments=("debug",),
)


def wanted(**base: str) -> Wanted:
    empty = {"oci": None, "image": None, "insecure": False, "ostree": None, "commit": None}
    return Wanted({**empty, **base}, "amd64", "trixie")


@pytest.fixture(scope="module")
def image(store: Store, tools: Layer, tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Image:
    return write_layout(store, tree, tmp_path_factory.mktemp("base") / "oci", CONFIG, tools=tools)


@pytest.fixture(scope="module")
def taken(store: Store, tools: Layer, image: Image) -> LockedBase:
    return take_base(store, tools, wanted(oci=str(image.path)), say=print)


@pytest.fixture(scope="module")
def derived(
    store: Store, tools: Layer, spec: TreeSpec, taken: LockedBase, tmp_path_factory: pytest.TempPathFactory
) -> Tree:
    demo = add_demo(store, tmp_path_factory.mktemp("demo"), "1")
    below = load_tree_below(store, taken)
    ours = dataclasses.replace(spec, base=(), archive=demo, below=below, finish=FINISH)
    return make_tree(store, ours, tools=tools)


def test_a_base_says_what_it_is_made_of(tree: Tree, image: Image, taken: LockedBase) -> None:
    assert taken.digest == image.digest
    assert taken.kargs == ("quiet",)
    assert {p.key for p in taken.packages} == {p.key for p in tree.packages}


def test_what_is_unpacked_is_what_was_packed(
    repository: Repository, store: Store, tree: Tree, taken: LockedBase, committed: Commit
) -> None:
    again = dataclasses.replace(tree, layer=load_tree_below(store, taken))
    made = commit(repository, again, ref="test/unpacked", version="13.1", timestamp=TIMESTAMP)
    assert repository.run("diff", committed.checksum, made.checksum).decode() == ""


def test_a_derivative_keeps_what_its_base_decided(store: Store, tools: Layer, tree: Tree, derived: Tree) -> None:
    script = "cd /tree; cat etc/motd usr/share/demo/version usr/lib/bootc/kargs.d/*"
    script += "; readlink etc/systemd/system/rescue.target"
    told = look(store, tools, derived, script)
    assert told == 'Derived\n1kargs = ["quiet"]\nkargs = ["debug"]\n/dev/null\n'
    preset = look(store, tools, derived, "cat /tree/usr/lib/systemd/system-preset/20-image.preset").splitlines()
    before = look(store, tools, tree, "cat /tree/usr/lib/systemd/system-preset/20-image.preset").splitlines()
    assert set(before) < set(preset)
    assert "enable systemd-timesyncd.service" in preset
    binds = [Bind(source=tree.root, target="/below"), Bind(source=derived.root, target="/tree")]
    same = "cmp /below/usr/lib/modules/*/initramfs.img /tree/usr/lib/modules/*/initramfs.img; ls -l /tree/var/lib/dpkg"
    assert "../../usr/lib/sysimage/dpkg" in run_tools(store, tools, ["sh", "-ec", same], binds=binds).decode()
    query = "dpkg-query --admindir=/tree/usr/lib/sysimage/dpkg -W -f '${Package} ${Version} ${Architecture}\\n'"
    listed = {tuple(line.split()) for line in look(store, tools, derived, query).splitlines()}
    assert listed == {(p.name, p.version, p.arch) for p in derived.packages}
    assert len(derived.packages) == len(tree.packages) + 1
    report = check_tree(store, derived, waivers=[OSTREE_ONLY], today=date(2026, 1, 1), tools=tools)
    assert report.ok, report.failed


@pytest.mark.slow
def test_its_image_imported_as_bootc_does_is_its_commit(
    store: Store, tools: Layer, repository: Repository, taken: LockedBase, derived: Tree, tmp_path: Path
) -> None:
    layout = load_layout_below(store, taken)
    assert layout is not None
    base = Base(layout.root, taken.digest, load_tree_below(store, taken).root)
    config = dataclasses.replace(CONFIG, version="13.2", max_layers=128)
    made = write_layout(store, derived, tmp_path / "oci", config, base=base, tools=tools)
    sum_of = commit(repository, derived, ref="test/derived", version="13.2", timestamp=TIMESTAMP)
    result = replay_import(repository, made.path, sum_of.checksum)
    assert result.equal, result.differences


def test_its_image_has_the_layers_of_the_base_and_little_more(
    store: Store, tools: Layer, repository: Repository, image: Image, taken: LockedBase, derived: Tree, tmp_path: Path
) -> None:
    layout = load_layout_below(store, taken)
    assert layout is not None
    base = Base(layout.root, taken.digest, load_tree_below(store, taken).root)
    config = dataclasses.replace(CONFIG, version="13.2", labels={}, base_digest=taken.digest, max_layers=128)
    made = write_layout(store, derived, tmp_path / "oci", config, base=base, tools=tools)
    theirs = [layer["digest"] for layer in image.plan["layers"]]
    assert [layer["digest"] for layer in made.plan["layers"]][: len(theirs)] == theirs
    ours = made.plan["layers"][len(theirs) :]
    assert sum(layer["size"] for layer in ours) < 3e6, [(layer["name"], layer["size"]) for layer in ours]
    manifest = json.loads((made.path / "blobs/sha256" / made.digest.removeprefix("sha256:")).read_bytes())
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == image.digest
    told = json.loads(
        run_tools(store, tools, ["skopeo", "inspect", "oci:/l"], binds=[Bind(source=made.path, target="/l")])
    )
    assert told["Labels"]["example"] == "yes"
    commit(repository, derived, ref="test/derived", version="13.2", timestamp=TIMESTAMP)
    changed = repository.run("diff", "test/server", "test/derived").decode().split("\n")
    names = {line.split()[-1] for line in changed if line}
    assert "/usr/lib/dracut" not in "\n".join(names)
    assert not [name for name in names if name.endswith((".pyc", "initramfs.img"))], names


@pytest.mark.slow
def test_a_commit_is_a_base_like_an_image(
    store: Store, tools: Layer, repository: Repository, taken: LockedBase, committed: Commit
) -> None:
    found = take_base(store, tools, wanted(ostree=str(repository.path), commit=committed.ref), say=print)
    assert (found.kind, found.digest) == ("commit", committed.checksum)
    assert found.packages == taken.packages
    binds = [
        Bind(source=load_tree_below(store, found).root, target="/one"),
        Bind(source=load_tree_below(store, taken).root, target="/two"),
    ]
    script = "cd /$1 && find . -printf '%p %y %m %U %G %l\\n' | sort | sha256sum"
    [one, two] = [run_tools(store, tools, ["sh", "-ec", script, "sh", name], binds=binds) for name in ("one", "two")]
    assert one == two


def test_a_base_of_another_suite_or_with_a_damaged_blob_is_refused(
    store: Store, tools: Layer, image: Image, tmp_path: Path
) -> None:
    other = dataclasses.replace(wanted(oci=str(image.path)), suite="bookworm")
    with pytest.raises(Failure, match="is of trixie"):
        take_base(store, tools, other, say=print)
    with pytest.raises(Failure, match="is no OCI image layout"):
        take_base(store, tools, wanted(oci=str(tmp_path)), say=print)
