"""An index of two architectures in the tools that others use: skopeo, podman."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deb_bootc_compose.oci.index import make_index
from debroot.bootstrap import tools_root
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Store
from tests.integration.tree.parts import make_parts

pytestmark = pytest.mark.root

PODMAN = "--root=/scratch/podman --runroot=/run/podman --storage-driver=vfs"


@pytest.fixture(scope="module")
def users_tools(store: Store) -> Layer:
    packages = ("skopeo", "podman", "ca-certificates")
    return tools_root(store, packages=packages)


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
