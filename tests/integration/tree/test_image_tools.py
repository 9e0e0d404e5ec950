"""Images in the tools of others: skopeo, podman, umoci, oci-image-tool. What they take: howto/publish-composes.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest

from deb_bootc_compose.oci.image import Image, ImageConfig, write_layout
from deb_bootc_compose.oci.index import Index, make_index
from deb_bootc_compose.tree.make import Tree
from debroot.bootstrap import tools_root
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.sources import CHECK_VALID_UNTIL
from debroot.store import Layer, Store
from tests.integration.tree.parts import make_parts

pytestmark = pytest.mark.root

PODMAN = "--root=/scratch/podman --runroot=/run/podman --storage-driver=vfs"
#: A container inside the sandbox: without a control group and a keyring of its own, which the kernel may refuse there.
RUNS = """
printf '[containers]\nkeyring=false\n' > /run/containers.conf; export CONTAINERS_CONF=/run/containers.conf
mount -t tmpfs none /sys/fs/cgroup
"""
OVERLAY = "--root=/scratch/podman --runroot=/run/podman --storage-driver=overlay --cgroup-manager=cgroupfs"
#: Every name with what a layer can say of it, but for times: they are all 0.
LIST = """list() {
    cd "$1"; find . -mindepth 1 '(' -type d -printf '%P d %m %U %G\n' -o -printf '%P %y %m %U %G %s %n %l\n' ')' | sort
}
"""
#: Of forky, because trixie's umoci 0.4.7 knows no zstd.
UMOCI = {"gzip": "trixie", "zstd": "forky"}


@pytest.fixture(scope="module")
def users_tools(store: Store) -> Layer:
    packages = ("skopeo", "podman", "ca-certificates")
    return tools_root(store, packages=packages)


@pytest.fixture(scope="module")
def validators(store: Store) -> Layer:
    return tools_root(store, packages=("skopeo", "umoci", "oci-image-tool"))


@pytest.fixture
def indexes(tmp_path: Path) -> Mapping[str, Index]:
    """A layout of two small images by compression."""
    made = {}
    for compression in ("gzip", "zstd"):
        (tmp_path / compression).mkdir()
        parts = make_parts(tmp_path / compression, compression=compression)
        made[compression] = make_index(parts, tmp_path / compression / "oci", tags=["1"])
    tmp_path.chmod(0o755)
    return made


def run_with(store: Store, tools: Layer, place: Path, script: str, *binds: Bind) -> str:
    """What a shell prints that has *place*/scratch as /scratch. Errors: CommandFailed with what it said."""
    scratch = Bind(source=place / "scratch", target="/scratch", readonly=False)
    box = Sandbox(lowers=tools.lowers(), binds=(*binds, scratch))
    return run_in(box, ["sh", "-euc", script], idmap=store.idmap, capture=True).text


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_skopeo_and_podman_choose_from_an_index(
    store: Store, users_tools: Layer, tmp_path: Path, compression: str
) -> None:
    parts = make_parts(tmp_path, compression=compression)
    index = make_index(parts, tmp_path / "oci", tags=["1"])
    tmp_path.chmod(0o755)
    bind = Bind(source=index.layout, target="/oci")
    script = f"""
    skopeo copy -q --all --preserve-digests oci:/oci:1 oci:/scratch/copy:1; sha256sum < /scratch/copy/index.json >&2
    for arch in amd64 arm64; do
        skopeo --override-arch=$arch inspect --no-tags --format '{{{{.Architecture}}}} {{{{.Digest}}}}' oci:/oci:1
        podman {PODMAN} pull -q --arch=$arch oci:/oci:1 >&2
        podman {PODMAN} image inspect --format '{{{{.Architecture}}}}' $(podman {PODMAN} images -q | head -n1)
        podman {PODMAN} rmi -af >&2
    done"""
    with store.workplace("scratch") as place:
        told = run_with(store, users_tools, place, script, bind).split()
        copied = json.loads((place / "scratch/copy/index.json").read_bytes())["manifests"][0]["digest"]
    assert copied == index.digest
    assert told[0::3] == told[2::3] == ["amd64", "arm64"]


def kind_of(document: Mapping[str, object]) -> str:
    """Of a JSON document of a layout, as oci-image-tool calls it."""
    return "imageIndex" if "manifests" in document else "manifest" if "layers" in document else "config"


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_every_document_follows_the_schemas_of_the_specification(
    store: Store, validators: Layer, indexes: Mapping[str, Index], compression: str
) -> None:
    layout = indexes[compression].layout
    documents = {layout / "index.json": "imageIndex"}
    for blob in sorted((layout / "blobs/sha256").iterdir()):
        if blob.read_bytes()[:1] == b"{":
            documents[blob] = kind_of(json.loads(blob.read_bytes()))
    assert sorted(documents.values()) == ["config", "config", "imageIndex", "imageIndex", "manifest", "manifest"]
    lines = [
        f"oci-image-tool validate --type {kind} /oci/{path.relative_to(layout)} 2>&1"
        for path, kind in documents.items()
    ]
    with store.workplace("scratch") as place:
        said = run_with(store, validators, place, "\n".join(lines), Bind(source=layout, target="/oci"))
    assert said.count("Validation succeeded") == len(documents)


def test_oci_image_tool_and_umoci_unpack_what_they_chose(
    store: Store, validators: Layer, indexes: Mapping[str, Index]
) -> None:
    """oci-image-tool chooses from an index; umoci wants one image, which skopeo chooses for it."""
    script = """
    oci-image-tool validate --type image --ref name=1 /oci >&2
    for arch in amd64 arm64; do
        mkdir /scratch/$arch; oci-image-tool unpack --ref name=1 --platform linux:$arch /oci /scratch/$arch >&2
        skopeo --override-arch=$arch copy -q --preserve-digests oci:/oci:1 oci:/scratch/one:$arch
        umoci unpack --image /scratch/one:$arch /scratch/bundle-$arch >&2
        cat /scratch/$arch/etc/arch /scratch/bundle-$arch/rootfs/etc/arch; echo
    done
    umoci ls --layout /scratch/one"""
    with store.workplace("scratch") as place:
        told = run_with(store, validators, place, script, Bind(source=indexes["gzip"].layout, target="/oci"))
    assert told.split() == ["amd64amd64", "arm64arm64", "amd64", "arm64"]


@pytest.fixture(params=["gzip", "zstd"])
def real(request: pytest.FixtureRequest, store: Store, tools: Layer, tree: Tree, tmp_path: Path) -> tuple[str, Image]:
    """A server's whole tree as an image, packed either way."""
    compression: Literal["gzip", "zstd"] = request.param
    config = ImageConfig(version="13.1", timestamp=1_760_000_000, title="Server", tag="13", compression=compression)
    image = write_layout(store, tree, tmp_path / "oci", config, tools=tools)
    tmp_path.chmod(0o755)
    return compression, image


@pytest.mark.slow
def test_podman_runs_a_real_image(store: Store, real: tuple[str, Image]) -> None:
    compression, image = real
    podman = tools_root(store, packages=("skopeo", "podman", "ca-certificates", "crun", "netavark", "mount"))
    script = f"""{RUNS}
    id=$(podman {OVERLAY} pull -q oci:/oci:13)
    podman {OVERLAY} image inspect $id
    test "$(podman {OVERLAY} run --rm --network=none --cgroups=disabled $id cat /etc/motd)" = Hello"""
    with store.workplace("scratch") as place:
        (told,) = json.loads(run_with(store, podman, place, script, Bind(source=image.path, target="/oci")))
    assert told["Digest"] == image.digest
    assert len(told["RootFS"]["Layers"]) == len(told["History"]) == image.layers
    assert told["History"][-1]["created_by"].startswith("deb-bootc-compose ")
    assert told["Annotations"]["org.opencontainers.image.title"] == "Server"
    assert told["Labels"]["containers.bootc"] == told["Labels"]["org.opencontainers.image.version"][:1] == "1"
    assert (told["Config"]["Cmd"], told["Config"]["StopSignal"]) == (["/sbin/init"], "SIGRTMIN+3"), compression


@pytest.mark.slow
def test_what_umoci_unpacks_is_the_tree(
    store: Store, tree: Tree, real: tuple[str, Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every name, mode, owner, link and byte."""
    compression, image = real
    monkeypatch.setenv(CHECK_VALID_UNTIL, "no")  # a mirror of forky may stand still
    umoci = tools_root(store, suite=UMOCI[compression], packages=("umoci",))
    script = f"""{LIST}
    umoci unpack --image /oci:13 /scratch/bundle >&2
    (list /tree) > /scratch/made; (list /scratch/bundle/rootfs) > /scratch/unpacked
    diff /scratch/made /scratch/unpacked >&2; diff -r --no-dereference /tree /scratch/bundle/rootfs >&2
    wc -l < /scratch/made; umoci stat --json --image /oci:13"""
    binds = (Bind(source=image.path, target="/oci"), Bind(source=tree.root, target="/tree"))
    with store.workplace("scratch") as place:
        names, told = run_with(store, umoci, place, script, *binds).split("\n", 1)
    assert int(names) > 5000
    history = json.loads(told)["history"]
    assert [f"sha256:{layer['digest']}" for layer in image.plan["layers"]] == [
        one["layer"]["digest"] for one in history
    ]


@pytest.mark.slow
@pytest.mark.parametrize("real", ["gzip"], indirect=True)  # oci-image-tool is of before zstd
def test_oci_image_tool_validates_a_real_image(store: Store, validators: Layer, real: tuple[str, Image]) -> None:
    with store.workplace("scratch") as place:
        script = "oci-image-tool validate --type image --ref name=13 /oci 2>&1"
        assert "Validation succeeded" in run_with(
            store, validators, place, script, Bind(source=real[1].path, target="/oci")
        )
