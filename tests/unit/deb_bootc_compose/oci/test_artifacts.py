"""Signatures and referrers as manifests: their bytes, and what is kept of what stood there before."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from deb_bootc_compose.oci.artifacts import (
    Attachment,
    Layout,
    Signed,
    canonical,
    digest_of,
    make_referrer,
    make_signatures,
    merge_referrers,
    parse_signatures,
    referrers_tag,
    signature_tag,
)
from deb_bootc_compose.oci.sigstore import StoredSignatures, make_payload, sign_digest
from debcore.errors import Failure

DIGEST = "sha256:" + "ab" * 32
SUBJECT = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": DIGEST, "size": 7, "platform": {}}
BILL = Attachment("server.cdx.json", "application/vnd.cyclonedx+json", b'{"bomFormat":"CycloneDX"}')


class Chance:
    """A signer that never signs twice alike."""

    public_key = "a key"

    def __init__(self) -> None:
        self.calls = 0

    def sign(self, payload: bytes) -> bytes:
        self.calls += 1
        return f"{self.calls} of {hashlib.sha256(payload).hexdigest()}".encode()


def test_the_payload_says_repository_and_digest_and_no_time() -> None:
    assert json.loads(make_payload("example.org/server", DIGEST)) == {
        "critical": {
            "identity": {"docker-reference": "example.org/server"},
            "image": {"docker-manifest-digest": DIGEST},
            "type": "cosign container image signature",
        },
        "optional": None,
    }


def test_a_signature_is_made_once(tmp_path: Path) -> None:
    chance = Chance()
    first = sign_digest(StoredSignatures(chance, tmp_path / "kept"), "example.org/server", DIGEST)
    again = sign_digest(StoredSignatures(chance, tmp_path / "kept"), "example.org/server", DIGEST)
    other = sign_digest(StoredSignatures(chance, tmp_path / "kept"), "example.org/other", DIGEST)
    assert first == again != other
    assert chance.calls == 2
    assert base64.b64decode(first.signature).startswith(b"1 of ")


def test_signatures_of_others_stay() -> None:
    theirs, ours = Signed(b"payload", "dGhlaXJz"), Signed(b"payload", "b3Vycw==")
    manifest, blobs = make_signatures([theirs])
    found = parse_signatures(manifest, {digest_of(blob): blob for blob in blobs})
    both, blobs = make_signatures([*found, ours])
    assert parse_signatures(both, {digest_of(blob): blob for blob in blobs}) == [theirs, ours]
    config = json.loads(blobs[0])
    assert config["rootfs"]["diff_ids"] == [digest_of(b"payload")] * 2
    types = {layer["mediaType"] for layer in json.loads(both)["layers"]}
    assert types == {"application/vnd.dev.cosign.simplesigning.v1+json"}


@pytest.mark.parametrize("bad", [b"{}", b"[", b'{"layers": [{"digest": "sha256:00"}]}'])
def test_damaged_signatures_are_refused(bad: bytes) -> None:
    with pytest.raises(Failure, match="is damaged"):
        parse_signatures(bad, {})


def test_a_referrer_names_its_subject_and_nothing_of_its_place() -> None:
    manifest, blobs = make_referrer(SUBJECT, BILL, created="2026-01-01T00:00:00Z")
    told = json.loads(manifest)
    assert told["subject"] == {key: SUBJECT[key] for key in ("mediaType", "digest", "size")}
    assert told["artifactType"] == told["layers"][0]["mediaType"] == "application/vnd.cyclonedx+json"
    assert told["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert base64.b64decode(told["config"]["data"]) == blobs[0] == b"{}"
    for descriptor, blob in zip([told["config"], *told["layers"]], blobs, strict=True):
        assert (descriptor["digest"], descriptor["size"]) == (digest_of(blob), len(blob))
    assert make_referrer(dict(reversed(SUBJECT.items())), BILL, created="2026-01-01T00:00:00Z")[0] == manifest


def test_the_list_of_referrers_keeps_what_others_attached() -> None:
    theirs = {"mediaType": SUBJECT["mediaType"], "digest": "sha256:" + "0" * 64, "size": 1, "artifactType": "text/x"}
    before = canonical({"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [theirs]})
    manifest, _ = make_referrer(SUBJECT, BILL, created="x")
    once = merge_referrers(before, [manifest])
    assert merge_referrers(once, [manifest, manifest]) == once
    found = json.loads(once)["manifests"]
    assert theirs in found
    ours = next(one for one in found if one != theirs)
    assert (ours["digest"], ours["size"]) == (digest_of(manifest), len(manifest))
    assert ours["artifactType"] == "application/vnd.cyclonedx+json"
    assert ours["annotations"] == json.loads(manifest)["annotations"]


@pytest.mark.parametrize("bad", [b"{}", b"]", canonical({"mediaType": SUBJECT["mediaType"]})])
def test_what_is_no_list_of_referrers_is_not_replaced(bad: bytes) -> None:
    with pytest.raises(Failure, match="list of referrers"):
        merge_referrers(bad, [])


def test_tags_of_what_belongs_to_an_image() -> None:
    assert referrers_tag(DIGEST) == "sha256-" + "ab" * 32
    assert signature_tag(DIGEST) == "sha256-" + "ab" * 32 + ".sig"


def test_a_layout_names_what_was_put_into_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.put(b"{}")
    layout.name(b"[]", "application/vnd.oci.image.manifest.v1+json", "one")
    index = json.loads((tmp_path / "index.json").read_bytes())
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "one"}
    blobs = list((tmp_path / "blobs/sha256").iterdir())
    assert {digest_of(blob.read_bytes()) for blob in blobs} == {f"sha256:{blob.name}" for blob in blobs}
    assert len(blobs) == 2
