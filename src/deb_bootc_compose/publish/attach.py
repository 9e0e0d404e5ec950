"""What belongs to an image in a registry: signatures, and documents about it as referrers. It is pushed before a tag
names the image.

Ours is added to what stands there, whoever put it there. The same image, key and documents give the same bytes, so that
a publication which was killed is ended by running it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deb_bootc_compose.oci.artifacts import (
    Attachment,
    Layout,
    digest_of,
    make_referrer,
    make_signatures,
    merge_referrers,
    parse_signatures,
    referrers_tag,
    signature_tag,
)
from deb_bootc_compose.oci.sigstore import ImageSigner, sign_digest
from deb_bootc_compose.oci.writer import INDEX, MANIFEST
from deb_bootc_compose.publish.outputs import ImageOutput
from deb_bootc_compose.publish.registry import RETRIES, Pushed, Registry, call_skopeo, push_image, tls
from debcore.errors import HostFailed
from debroot.store import Layer, Store

#: What skopeo says of a tag that is not there; anything else is a failure. Source: distribution-spec, "error codes".
MISSING = ("manifest unknown", "name unknown", "name_unknown", "not found")


@dataclass(frozen=True)
class Subject:
    """One manifest of an image (or its index), with what is to be said of it."""

    descriptor: Mapping[str, Any]  #: mediaType, digest, size
    created: str = ""  #: RFC 3339, of the image
    attachments: Sequence[Attachment] = ()

    @property
    def digest(self) -> str:
        return str(self.descriptor["digest"])


@dataclass(frozen=True)
class Attached:
    """What was pushed for an image."""

    signed: tuple[str, ...] = ()  #: digests
    referrers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: digest of the image → of its referrers


@dataclass(frozen=True)
class Attacher:
    """Pushes what belongs to images of *registry*."""

    store: Store
    tools: Layer
    registry: Registry
    say: Callable[[str], None]

    def attach(self, subjects: Sequence[Subject], signer: ImageSigner | None) -> Attached:
        """Referrers of each subject, then signatures of subjects and referrers. Errors: HostFailed, Failure."""
        referrers = {one.digest: self._refer(one) for one in subjects if one.attachments}
        digests = [one.digest for one in subjects] + [digest for found in referrers.values() for digest in found]
        if signer is not None:
            for digest in digests:
                self._sign(digest, signer)
            self.say(f"{self.registry.name}: {len(digests)} signatures")
        return Attached(tuple(digests) if signer is not None else (), referrers)

    def _refer(self, subject: Subject) -> tuple[str, ...]:
        made = [make_referrer(subject.descriptor, one, created=subject.created) for one in subject.attachments]
        manifests = [manifest for manifest, _ in made]
        tag = referrers_tag(subject.digest)
        index = merge_referrers(self._inspect(tag), manifests)
        with self._layout() as layout:
            for manifest, blobs in made:
                for blob in blobs:
                    layout.put(blob)
                layout.name(manifest, MANIFEST, digest_of(manifest)[7:])
            layout.name(index, INDEX, "index")
            for manifest in manifests:
                self._copy(layout, digest_of(manifest)[7:], f"@{digest_of(manifest)}")
            self._copy(layout, "index", f":{tag}", "--multi-arch=index-only")
        self.say(f"{self.registry.name}: {len(made)} documents about {subject.digest[:19]}")
        return tuple(digest_of(manifest) for manifest in manifests)

    def _sign(self, digest: str, signer: ImageSigner) -> None:
        ours = sign_digest(signer, self.registry.name, digest)
        tag = signature_tag(digest)
        before = self._inspect(tag)
        signed = parse_signatures(before, self._fetch(tag)) if before is not None else []
        if ours in signed:
            return
        manifest, blobs = make_signatures([*signed, ours])
        with self._layout() as layout:
            for blob in blobs:
                layout.put(blob)
            layout.name(manifest, MANIFEST, "signatures")
            self._copy(layout, "signatures", f":{tag}")

    @contextmanager
    def _layout(self) -> Iterator[Layout]:
        with self.store.workplace() as place:
            (place / "oci").mkdir()
            layout = Layout(place / "oci")
            for directory in (layout.path, *layout.path.glob("blobs"), *layout.path.glob("blobs/*")):
                directory.chmod(0o755)  # root inside is another user
            yield layout

    def _copy(self, layout: Layout, name: str, target: str, *words: str) -> None:
        copy = ["copy", *words, "--preserve-digests", f"--retry-times={RETRIES}", *tls("dest-", self.registry)]
        argv = [*copy, f"oci:/layout:{name}", f"docker://{self.registry.name}{target}"]
        call_skopeo(self.store, self.tools, self.registry, argv, layout.path)

    def _inspect(self, tag: str) -> bytes | None:
        """The manifest under *tag*, None if there is none. Errors: HostFailed if the registry does not answer."""
        words = ["inspect", "--raw", *tls("", self.registry), f"docker://{self.registry.name}:{tag}"]
        try:
            return call_skopeo(self.store, self.tools, self.registry, words, None)
        except HostFailed as error:
            if any(word in str(error).lower() for word in MISSING):
                return None
            raise

    def _fetch(self, tag: str) -> dict[str, bytes]:
        """The blobs of the image under *tag*, by digest."""
        with self.store.workplace("old") as place:
            words = ["copy", "--preserve-digests", *tls("src-", self.registry)]
            argv = [*words, f"docker://{self.registry.name}:{tag}", "oci:/layout:old"]
            call_skopeo(self.store, self.tools, self.registry, argv, place / "old", writable=True)
            blobs = sorted((place / "old/blobs/sha256").iterdir())
            return {f"sha256:{blob.name}": blob.read_bytes() for blob in blobs}


def publish_image(
    store: Store,
    tools: Layer,
    registry: Registry,
    image: ImageOutput,
    *,
    tags: Sequence[str],
    signer: ImageSigner | None,
    attachments: Mapping[str, Sequence[Attachment]],
    say: Callable[[str], None],
) -> tuple[Pushed, Attached]:
    """Push *image*, then its documents and signatures, then let *tags* name it. *attachments*: by digest.

    Errors: as push_image; a tag names then what it named before.
    """
    attacher, done = Attacher(store, tools, registry, say), [Attached()]
    subjects = load_subjects(image.layout, image.digest, attachments)
    pushed = push_image(
        store, tools, registry, image, tags=tags, say=say,
        before_tags=lambda: done.append(attacher.attach(subjects, signer)),
    )  # fmt: skip
    return pushed, done[-1]


def load_subjects(layout: Path, digest: str, attachments: Mapping[str, Sequence[Attachment]]) -> list[Subject]:
    """The image *digest* of *layout* with, if it is an index, the images that it names. *attachments*: by digest."""
    content = _blob(layout, digest)
    document = json.loads(content)
    parts = document.get("manifests", ())
    created = "" if parts else str(json.loads(_blob(layout, document["config"]["digest"])).get("created", ""))
    told = {"mediaType": INDEX if parts else MANIFEST, "digest": digest, "size": len(content)}
    subject = Subject(told, created, tuple(attachments.get(digest, ())))
    return [subject, *(one for part in parts for one in load_subjects(layout, part["digest"], attachments))]


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
