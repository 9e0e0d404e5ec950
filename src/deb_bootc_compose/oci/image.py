"""From a tree to an OCI image layout on the host. Equal input gives an equal manifest digest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from deb_bootc_compose.oci.plan import Rule
from deb_bootc_compose.tree.make import Tree, find_tools
from deb_bootc_compose.tree.outside import call
from debcore.errors import Failure
from debcore.path import write_file
from debroot.sandbox import Bind
from debroot.store import Layer, Store

#: What says bootc that it may import the image. Keys count, values do not.
BOOTC_LABELS = {"containers.bootc": "1", "ostree.bootable": "true"}

#: Their presence makes bootc read the image as an encapsulated commit, which ours is not.
FORBIDDEN = frozenset({"ostree.final-diffid", "ostree.commit"})

#: Debian's name of an architecture → OCI's (GOARCH, variant).
ARCHES = {
    "amd64": ("amd64", None),
    "arm64": ("arm64", "v8"),
    "armhf": ("arm", "v7"),
    "i386": ("386", None),
    "ppc64el": ("ppc64le", None),
    "riscv64": ("riscv64", None),
    "s390x": ("s390x", None),
}


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """What an image says of itself. `timestamp` is the lock's (seconds since the epoch): no clock is read."""

    version: str
    timestamp: int
    title: str = ""
    revision: str = ""
    source: str = ""
    base_name: str = ""
    base_digest: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""  #: name of the manifest in index.json; skopeo takes it after a colon
    compression: Literal["zstd", "gzip"] = "zstd"
    max_layers: int = 64
    by_name: bool = False  #: plan without regard to the image before
    rules: tuple[Rule, ...] = ()  #: layers of the manifest

    def __post_init__(self) -> None:
        if not 8 <= self.max_layers <= 128:
            raise Failure(f"max-layers is {self.max_layers}", hint="8 to 128: container tools refuse more")
        if bad := sorted(FORBIDDEN & set(self.labels)):
            raise Failure(f"label {', '.join(bad)} is not for images made of layers", hint="leave it out")


@dataclass(frozen=True)
class Base:
    """The image below: its layout, its digest and its tree, as they are in the store."""

    layout: Path
    digest: str
    tree: Path


@dataclass(frozen=True)
class Image:
    """A layout that was written."""

    path: Path
    digest: str  #: of the manifest: sha256:…
    size: int  #: bytes of all blobs
    plan: Mapping[str, Any]  #: content of layers.json: `plan` and, for each layer, name, digests, sizes, reused

    @property
    def layers(self) -> int:
        return len(self.plan["layers"])


def created_at(timestamp: int) -> str:
    """RFC 3339, as image configs have it."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_annotations(config: ImageConfig) -> dict[str, str]:
    """Annotations of the manifest; the same stand in the config as labels."""
    values = {
        "version": config.version,
        "created": created_at(config.timestamp),
        "title": config.title,
        "revision": config.revision,
        "source": config.source,
        "base.name": config.base_name,
        "base.digest": config.base_digest,
    }
    return {f"org.opencontainers.image.{key}": value for key, value in values.items() if value}


def make_config(config: ImageConfig, arch: str) -> dict[str, Any]:
    """The image config but for what the layers decide. Errors: Failure for an architecture that OCI has no name for."""
    if arch not in ARCHES:
        raise Failure(f"OCI has no name for the architecture {arch}", hint=f"known: {', '.join(sorted(ARCHES))}")
    name, variant = ARCHES[arch]
    labels = {**make_annotations(config), "version": config.version, **BOOTC_LABELS, **config.labels}
    made: dict[str, Any] = {
        "created": created_at(config.timestamp),
        "architecture": name,
        "os": "linux",
        "config": {"Labels": labels, "Cmd": ["/sbin/init"], "StopSignal": "SIGRTMIN+3"},
    }
    return {**made, "variant": variant} if variant else made


def write_layout(
    store: Store,
    tree: Tree,
    out: Path,
    config: ImageConfig,
    *,
    before: Mapping[str, Any] | None = None,
    previous: Path | None = None,
    base: Base | None = None,
    tools: Layer | None = None,
) -> Image:
    """Write the layout of *tree* to *out*, which must not exist, and its plan to `layers.json` in it.

    *before*: what layers.json said of the image before: its plan is kept, and a layer that did not change has the same
    bytes, which come from *previous* (the layout) if that is at hand. *base*: the image that *tree* is derived from.
    Errors: Failure; *out* is then not there.
    """
    if out.exists():
        raise Failure(f"{out} is already there", hint="a finished layout is never changed: name another directory")
    if before is None:
        before = load_plan(previous) if previous is not None else {}
    arguments = {
        "config": make_config(config, tree.layer.arch),
        "annotations": make_annotations(config),
        "tag": config.tag,
        "compression": config.compression,
        "max_layers": config.max_layers,
        "previous": dict(before),
        "by_name": config.by_name,
        "rules": [asdict(rule) for rule in config.rules],
        "base": base.digest if base else "",
    }
    with store.workplace("out") as place:
        binds = [Bind(source=tree.root, target="/tree"), Bind(source=place / "out", target="/out", readonly=False)]
        if previous is not None:
            binds.append(Bind(source=previous.absolute(), target="/previous"))
        if base is not None:
            binds += [Bind(source=base.layout, target="/base"), Bind(source=base.tree, target="/below")]
        tools = tools or find_tools(store, tree.layer.suite)
        plan = call(store, tools, "deb_bootc_compose.oci.writer:write", arguments, binds=binds)
        copy_out(place / "out", out)
    write_file(out / "layers.json", json.dumps(plan, indent=1, sort_keys=True) + "\n")
    return Image(out, f"sha256:{plan['digest']}", sum(layer["size"] for layer in plan["layers"]), plan)


def load_plan(layout: Path) -> dict[str, Any]:
    """What write_layout said of *layout*. Errors: Failure if it is none of ours."""
    try:
        plan: dict[str, Any] = json.loads((layout / "layers.json").read_text())
    except (OSError, ValueError) as error:
        raise Failure(f"{layout}: no layers.json: {error}", hint="give the layout of the previous compose") from error
    return plan


def copy_out(source: Path, target: Path) -> None:
    """Copy plain files of the id map into a directory of the caller's, which appears whole or not at all."""
    temporary = target.with_name(f".{target.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        shutil.copytree(source, temporary, copy_function=shutil.copyfile)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
