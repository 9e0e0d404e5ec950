"""Signatures and documents of an image in a real registry, judged by skopeo under a strict policy, cosign and oras."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from deb_bootc_compose.oci.artifacts import Attachment, Signed, digest_of, referrers_tag, signature_tag
from deb_bootc_compose.oci.index import Part, make_index
from deb_bootc_compose.oci.sigstore import check_signature, make_payload, open_key, sign_digest
from deb_bootc_compose.publish.attach import publish_image
from deb_bootc_compose.publish.outputs import ImageOutput
from deb_bootc_compose.publish.registry import Registry, call_skopeo, find_pusher, inspect
from debcore.command import Completed
from debcore.errors import ConfigError, Failure
from debroot.bootstrap import tools_root
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Store
from tests.integration.tree.parts import make_parts
from tests.integration.tree.registry import log_in, make_layout, registry

pytestmark = pytest.mark.root

BILLS = (
    Attachment("server.amd64.cdx.json", "application/vnd.cyclonedx+json", b'{"bomFormat":"CycloneDX"}'),
    Attachment("server.amd64.provenance.json", "application/vnd.in-toto+json", b'{"_type":"statement"}'),
)
#: $1: HOST:PORT, $2: file of the key below /data; then a command that may say $REPO.
CLIENT = """set -eu; mkdir -p /root/.docker /etc/containers/registries.d
cp /data/auth.json /root/.docker/config.json; export REGISTRY_AUTH_FILE=/root/.docker/config.json
cat > /etc/containers/policy.json <<EOF
{"default": [{"type": "reject"}], "transports": {"docker": {"$1": [
  {"type": "sigstoreSigned", "keyPath": "/data/$2", "signedIdentity": {"type": "matchRepository"}}]}}}
EOF
printf 'docker:\\n  "%s":\\n    use-sigstore-attachments: true\\n' "$1" > /etc/containers/registries.d/strict.yaml
export REPO="$1/tests/server" KEY="/data/$2"; shift 2; exec sh -euc "$1"
"""
PULL = "skopeo copy -q --src-tls-verify=false {words} docker://$REPO:{tag} dir:/tmp/pulled"
COSIGN = "cosign verify --key $KEY --insecure-ignore-tlog --allow-http-registry --allow-insecure-registry $REPO{what}"


@dataclass(frozen=True)
class Client:
    """A machine that updates from the registry."""

    store: Store
    tools: Layer
    data: Path  #: seen as /data: keys, auth.json
    host: str

    def run(self, command: str, key: str = "key.pub") -> Completed:
        box = Sandbox(lowers=self.tools.lowers(), binds=(Bind(source=self.data, target="/data"),), network="host")
        argv = ["sh", "-c", CLIENT, "sh", self.host, key, command]
        return run_in(box, argv, idmap=self.store.idmap, capture=True, check=False)

    def pull(self, tag: str, words: str = "", key: str = "key.pub") -> str:
        """ "" or what skopeo said when it refused."""
        done = self.run(PULL.format(tag=tag, words=words), key)
        return done.stderr.decode() if done.status else ""


@pytest.fixture(scope="module")
def pusher(store: Store) -> Layer:
    return find_pusher(store, "trixie")


def make_many(tmp_path: Path) -> tuple[ImageOutput, list[Part]]:
    """An index of two architectures."""
    parts = make_parts(tmp_path)
    index = make_index(parts, tmp_path / "oci", tags=["1"])
    return ImageOutput("server", index.digest, index.layout, ("1",), is_index=True), parts


def test_what_is_signed_is_accepted_and_nothing_else(store: Store, pusher: Layer, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    image, (amd64, _) = make_many(tmp_path)
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    signer, other = open_key(store, data / "key.pem"), open_key(store, data / "other.pem")
    tools = tools_root(store, packages=("skopeo", "ca-certificates", "cosign", "oras"))
    with store.workplace("registry", "layout") as place, registry(store, place / "registry") as host:
        authfile = data / "auth.json"
        log_in(authfile, host)
        where, client = Registry(f"{host}/tests/server", authfile, insecure=True), Client(store, tools, data, host)

        def publish(one: ImageOutput, tag: str) -> None:
            bills = {amd64.digest: BILLS} if one is image else {}
            publish_image(
                store, pusher, where, one, tags=[tag], signer=signer, attachments=bills, say=lambda _: None
            )  # fmt: skip

        publish(image, "1")
        assert client.pull("1") == client.pull("1", "--override-arch=arm64") == ""
        assert "invalid signature" in client.pull("1", key="other.pub").lower()
        both = [COSIGN.format(what=what) for what in (":1", f"@{amd64.digest}")]
        assert client.run("; ".join(both)).status == 0
        assert client.run(COSIGN.format(what=":1"), key="other.pub").status != 0

        before = {tag: inspect(store, pusher, where, tag) for tag in tags_of(image.digest, amd64.digest)}
        publish(image, "1")
        assert {tag: inspect(store, pusher, where, tag) for tag in before} == before, "twice gives the same bytes"
        check_documents(client, where, pusher, amd64)

        unsigned = make_layout(store, pusher, place / "layout", "2")
        push = ["copy", "--preserve-digests", "--dest-tls-verify=false", "oci:/layout:2", f"docker://{where.name}:2"]
        call_skopeo(store, pusher, where, push, unsigned.layout)
        assert "no signature exists" in client.pull("2")
        # Another image under the tag of the signed one, and with its signature: the digest in it is not its own.
        copy = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false"]
        signature = f"docker://{where.name}:{signature_tag(amd64.digest)}"
        stolen = f"docker://{where.name}:{signature_tag(unsigned.digest)}"
        call_skopeo(store, pusher, where, [*copy, signature, stolen], None)
        call_skopeo(store, pusher, where, [*push[:-1], f"docker://{where.name}:1"], unsigned.layout)
        assert "digest" in client.pull("1").lower()
        assert client.run(COSIGN.format(what=":1")).status != 0

        # Ours is added to what stands there, though that is no good.
        publish(unsigned, "2")
        assert client.pull("2") == ""
        assert client.run(COSIGN.format(what=":2")).status == 0
        signed = sign_digest(other, where.name, image.digest)
        check_signature(store, signed, other.public_key)
        with pytest.raises(Failure, match="not by this key"):
            check_signature(store, signed, signer.public_key)
        with pytest.raises(Failure, match="not by this key"):
            check_signature(store, Signed(make_payload(where.name, amd64.digest), signed.signature), other.public_key)


def tags_of(*digests: str) -> list[str]:
    return [signature_tag(digests[0]), *(tag(digests[1]) for tag in (signature_tag, referrers_tag))]


def check_documents(client: Client, where: Registry, pusher: Layer, image: Part) -> None:
    """oras finds them, with the registry's tag alone; what it finds is what was attached, and is signed too."""
    listed = client.run(f"oras discover --plain-http --format json $REPO@{image.digest}")
    found = {one["artifactType"]: one["digest"] for one in json.loads(listed.stdout)["manifests"]}
    assert set(found) == {bill.kind for bill in BILLS}
    for bill in BILLS:
        words = ["inspect", "--raw", "--tls-verify=false", f"docker://{where.name}@{found[bill.kind]}"]
        raw = call_skopeo(client.store, pusher, where, words, None)
        assert digest_of(raw) == found[bill.kind]
        told = json.loads(raw)
        assert told["subject"]["digest"] == image.digest
        assert told["layers"][0]["digest"] == digest_of(bill.content)
    signed = [COSIGN.format(what=f"@{digest}") for digest in found.values()]
    assert client.run("; ".join(signed)).status == 0
    pulled = client.run(f"cd /tmp; oras pull --plain-http $REPO@{found[BILLS[0].kind]} >&2; cat /tmp/{BILLS[0].name}")
    assert pulled.stdout == BILLS[0].content


def test_a_key_that_is_none_is_refused(store: Store, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(ConfigError, match="no secret key"):
        open_key(store, key)
    tools = tools_root(store, suite="trixie", packages=("openssl",))
    argv = ["openssl", "genpkey", "-algorithm", "ED25519"]
    key.write_bytes(run_in(Sandbox(lowers=tools.lowers()), argv, idmap=store.idmap, capture=True).stdout)
    with pytest.raises(ConfigError, match="curve P-256"):
        open_key(store, key)
