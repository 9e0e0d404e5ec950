"""An index of two architectures in the tools that others use: skopeo, podman."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deb_bootc_compose.oci.image import ImageConfig, make_config
from deb_bootc_compose.oci.index import Part, make_index
from deb_bootc_compose.oci.writer import write
from debroot.bootstrap import tools_root
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Store

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
    parts = []
    for arch in ("amd64", "arm64"):
        (tmp_path / f"tree-{arch}/etc").mkdir(parents=True)
        (tmp_path / f"tree-{arch}/etc/arch").write_text(arch)
        (tmp_path / arch).mkdir()
        made = write(
            config=make_config(ImageConfig(version="1", timestamp=0), arch), annotations={}, tag="", max_layers=8,
            compression=compression, previous={}, tree=str(tmp_path / f"tree-{arch}"), out=str(tmp_path / arch),
        )  # fmt: skip
        parts.append(Part(arch, tmp_path / arch, f"sha256:{made['digest']}"))
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
