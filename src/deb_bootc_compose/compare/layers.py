"""What a client that has one image must fetch for another. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerChange:
    """One layer of the newer image; `before` is the size of the older one's of that name, if it has one."""

    name: str
    size: int  #: bytes, compressed
    before: int | None
    reused: bool


@dataclass(frozen=True)
class LayerChanges:
    layers: tuple[LayerChange, ...]
    removed: tuple[str, ...]  #: names of the older image's layers that the newer one has not

    @property
    def size(self) -> int:
        """Bytes of the whole newer image."""
        return sum(layer.size for layer in self.layers)

    @property
    def download(self) -> int:
        """Bytes of the layers that the older image has not."""
        return sum(layer.size for layer in self.layers if not layer.reused)


def compare_layers(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> LayerChanges:
    """*before* and *after*: `layers` of one image in layers.json: name, digest, size of each."""
    have = {layer["digest"] for layer in before}
    sizes = {layer["name"]: layer["size"] for layer in before}
    made = tuple(
        LayerChange(layer["name"], layer["size"], sizes.get(layer["name"]), layer["digest"] in have) for layer in after
    )
    names = {layer.name for layer in made}
    return LayerChanges(made, tuple(name for name in sizes if name not in names))
