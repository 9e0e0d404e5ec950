"""Two small images for an index."""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.oci.image import ImageConfig, make_config
from deb_bootc_compose.oci.index import Part
from deb_bootc_compose.oci.writer import write


def make_parts(place: Path, *, compression: str = "zstd") -> list[Part]:
    """One image each of amd64 and arm64, which say in /etc/arch what they are, with layouts below *place*."""
    parts = []
    for arch in ("amd64", "arm64"):
        (place / f"tree-{arch}/etc").mkdir(parents=True)
        (place / f"tree-{arch}/etc/arch").write_text(arch)
        (place / arch).mkdir()
        made = write(
            config=make_config(ImageConfig(version="1", timestamp=0), arch), annotations={}, tag="", max_layers=8,
            compression=compression, previous={}, tree=str(place / f"tree-{arch}"), out=str(place / arch),
        )  # fmt: skip
        parts.append(Part(arch, place / arch, f"sha256:{made['digest']}"))
    return parts
