"""What belongs to an image and is no image: signatures and referrers, as manifests of an image layout. Pure but for
`Layout`.

A signature is the image that containers/image (skopeo, podman, bootc) and cosign look for under the tag
`sha256-HEX.sig`: one layer for each signed payload. A referrer is a manifest whose `subject` is the image; registries
without the referrers API have an index of them under the tag `sha256-HEX`.

Source: OCI image-spec 1.1, manifest.md (artifacts), distribution-spec 1.1, "Referrers Tag Schema"; cosign's
SIGNATURE_SPEC.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deb_bootc_compose.oci.writer import CONFIG, INDEX, MANIFEST
from debcore.errors import Failure
from debcore.path import write_file

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
EMPTY = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
REF_NAME = "org.opencontainers.image.ref.name"

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Signed:
    """A payload with its signature (DER, of ECDSA)."""

    payload: bytes
    signature: str  #: base64


@dataclass(frozen=True)
class Attachment:
    """A document about an image. `kind` is the media type of its content, and so the artifact's type."""

    name: str
    kind: str
    content: bytes


def canonical(document: Document) -> bytes:
    """The one spelling of *document*: equal content, equal digest."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def describe(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """The descriptor of *content*."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def signature_tag(digest: str) -> str:
    return f"{referrers_tag(digest)}.sig"


def referrers_tag(digest: str) -> str:
    """Where the referrers of the manifest *digest* are named if the registry has no API for them."""
    return digest.replace(":", "-", 1)


class Layout:
    """An image layout that is filled blob by blob, then told what it holds. *path* is an empty directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._named: list[dict[str, Any]] = []
        (path / "blobs/sha256").mkdir(parents=True)
        write_file(path / "oci-layout", '{"imageLayoutVersion":"1.0.0"}')

    def put(self, content: bytes) -> None:
        write_file(self.path / "blobs/sha256" / digest_of(content).removeprefix("sha256:"), content)

    def name(self, manifest: bytes, media_type: str, name: str) -> None:
        """Store *manifest*, to be copied from the layout as *name*."""
        self.put(manifest)
        self._named.append(describe(manifest, media_type, annotations={REF_NAME: name}))
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self._named}
        write_file(self.path / "index.json", canonical(index))


def make_signatures(signed: Sequence[Signed]) -> tuple[bytes, list[bytes]]:
    """(manifest, blobs) of the image that holds the signatures of one digest."""
    payloads = [one.payload for one in signed]
    config = canonical({
        "architecture": "", "os": "", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(payload) for payload in payloads]},
    })  # fmt: skip
    layers = [describe(one.payload, PAYLOAD, annotations={SIGNATURE: one.signature}) for one in signed]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": describe(config, CONFIG), "layers": layers}
    return canonical(manifest), [config, *payloads]


def parse_signatures(manifest: bytes, blobs: Mapping[str, bytes]) -> list[Signed]:
    """The signatures in an image of them. *blobs*: by digest. Errors: Failure if it is damaged."""
    try:
        layers = json.loads(manifest)["layers"]
        found = [(layer["digest"], layer["annotations"][SIGNATURE]) for layer in layers]
        return [Signed(blobs[digest], str(signature)) for digest, signature in found]
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"what the registry has as signatures is damaged: {error!r}", hint="remove the tag sha256-….sig there"
        ) from error


def make_referrer(subject: Document, attachment: Attachment, *, created: str) -> tuple[bytes, list[bytes]]:
    """(manifest, blobs) that attach a document to the image whose descriptor *subject* is."""
    config = b"{}"
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": attachment.kind,
        "config": describe(config, EMPTY, data="e30="),
        "layers": [describe(attachment.content, attachment.kind, annotations={TITLE: attachment.name})],
        "subject": {key: subject[key] for key in ("mediaType", "digest", "size")},
        "annotations": {"org.opencontainers.image.created": created},
    }  # fmt: skip
    return canonical(manifest), [config, attachment.content]


def merge_referrers(before: bytes | None, manifests: Iterable[bytes]) -> bytes:
    """The index under the referrers tag: what stood there stays, whoever put it there.

    Errors: Failure if *before* is no index.
    """
    entries: dict[str, Any] = {}
    if before is not None:
        try:
            found = json.loads(before)
            if found["mediaType"] != INDEX:
                raise ValueError(f"it is {found['mediaType']}")
            entries = {entry["digest"]: entry for entry in found["manifests"]}
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(
                f"what the registry has as the list of referrers is none: {error}", hint="remove the tag sha256-… there"
            ) from error
    for manifest in manifests:
        told = json.loads(manifest)
        entry = describe(manifest, MANIFEST, artifactType=told["artifactType"], annotations=told["annotations"])
        entries[entry["digest"]] = entry
    ordered = [entries[digest] for digest in sorted(entries)]
    return canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": ordered})
