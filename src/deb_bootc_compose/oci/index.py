"""One image of several architectures: a layout whose index names the image of each. Blobs are linked, not copied.

Source: OCI image-spec 1.1, image-index.md, image-layout.md.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deb_bootc_compose.earlier import link_file
from deb_bootc_compose.oci.writer import CONFIG, INDEX, MANIFEST
from debcore.errors import Failure
from debcore.path import write_file

REF_NAME = "org.opencontainers.image.ref.name"
#: By which clients tell images with zstd layers before they fetch one; skopeo adds it, and would so change the digest.
ZSTD = {"io.github.containers.compression.zstd": "true"}


@dataclass(frozen=True)
class Part:
    """The image of one architecture, in a layout of its own."""

    arch: str  #: Debian's name
    layout: Path
    digest: str  #: of its manifest: sha256:…


@dataclass(frozen=True)
class Index:
    layout: Path
    digest: str  #: of the index: sha256:…


def make_index(parts: Sequence[Part], out: Path, *, tags: Sequence[str]) -> Index:
    """Write a layout of all *parts* to *out*, in place of what is there; it appears whole or not at all.

    The same images give the same digest. Errors: Failure if a layout is damaged or two are of one platform.
    """
    unfinished = out.with_name(f".{out.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    blobs = unfinished / "blobs/sha256"
    blobs.mkdir(parents=True)
    entries = []
    for part in sorted(parts, key=lambda part: part.arch):
        for blob in sorted((part.layout / "blobs/sha256").iterdir()):
            link_file(blob, blobs / blob.name)
        entries.append(describe(part))
    platforms = [json.dumps(entry["platform"], sort_keys=True) for entry in entries]
    if len(set(platforms)) != len(platforms):
        raise Failure(f"two images of {out} are of one platform: {', '.join(platforms)}", hint="compose again")
    content = _canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    digest = hashlib.sha256(content).hexdigest()
    write_file(blobs / digest, content)
    entry = {"mediaType": INDEX, "digest": f"sha256:{digest}", "size": len(content)}
    named: list[Mapping[str, Any]] = [{**entry, "annotations": {REF_NAME: tag}} for tag in tags]
    write_file(
        unfinished / "index.json", _canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": named or [entry]})
    )
    write_file(unfinished / "oci-layout", '{"imageLayoutVersion":"1.0.0"}')
    shutil.rmtree(out, ignore_errors=True)
    unfinished.rename(out)
    return Index(out, f"sha256:{digest}")


def describe(part: Part) -> dict[str, Any]:
    """The descriptor of one image, with the platform that its configuration says. Errors: Failure on damage."""
    try:
        manifest = _read(part.layout, part.digest)
        document = json.loads(manifest)
        told = document["config"]
        zstd = any(layer["mediaType"].endswith("+zstd") for layer in document["layers"])
        config = json.loads(_read(part.layout, told["digest"]))
        if told["mediaType"] != CONFIG:
            raise ValueError(f"its configuration is {told['mediaType']}")
        names = ("architecture", "os", "variant")
        platform = {name: config[name] for name in names if config.get(name) or name != "variant"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{part.layout} is damaged: {error}", hint="compose again") from error
    entry = {"mediaType": MANIFEST, "digest": part.digest, "size": len(manifest), "platform": platform}
    return entry | ({"annotations": ZSTD} if zstd else {})


def _read(layout: Path, digest: str) -> bytes:
    content = (layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise ValueError(f"what is called {digest} is something else")
    return content


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
