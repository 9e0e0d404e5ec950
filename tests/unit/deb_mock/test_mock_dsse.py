"""The envelope of a provenance: what is signed, what a reader finds, and signers that are not believed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deb_mock.dsse import DetachedCommand, encode_pae, make_envelope, sign_statement, verify_signature
from debcore.command import run
from debcore.errors import ConfigError, Failure, HostFailed

STATEMENT = b'{"_type": "https://in-toto.io/Statement/v1"}\n'


def test_what_is_signed_is_what_the_protocol_says() -> None:
    # the example of DSSE's protocol.md
    encoded = encode_pae(b"hello world", "http://example.com/HelloWorld")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert encode_pae("é".encode(), "é") == "DSSEv1 2 é 2 é".encode()


def test_the_envelope_is_one_line_with_the_bytes_of_the_statement() -> None:
    line = make_envelope(STATEMENT, b"\0\xff", key_id="k")
    assert line.count(b"\n") == 1
    envelope = json.loads(line)
    assert base64.b64decode(envelope["payload"]) == STATEMENT
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert envelope["signatures"] == [{"keyid": "k", "sig": "AP8="}]
    assert json.loads(make_envelope(STATEMENT, b"x"))["signatures"] == [{"sig": "eA=="}]


class Scripted:
    """A signer that does what the test says."""

    def __init__(self, sign: Callable[[bytes], bytes]) -> None:
        self._sign = sign

    def sign_detached(self, data: bytes) -> bytes:
        return self._sign(data)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, bytes]:
    """The file with a secret key, and its public one in PEM."""
    secret = tmp_path / "secret.pem"
    run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", secret])
    return secret, run(["openssl", "ec", "-in", secret, "-pubout"]).stdout


def openssl(secret: Path) -> DetachedCommand:
    return DetachedCommand(("openssl", "dgst", "-sha256", "-sign", str(secret)))


def test_a_signature_by_the_key_is_in_the_envelope(pair: tuple[Path, bytes]) -> None:
    secret, public = pair
    envelope = json.loads(sign_statement(STATEMENT, openssl(secret), key=public))
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    assert envelope["signatures"][0]["keyid"] == verify_signature(encode_pae(STATEMENT), signature, public)
    for data in (STATEMENT, encode_pae(STATEMENT + b" "), encode_pae(STATEMENT, "text/plain")):
        with pytest.raises(Failure, match="no good signature"):
            verify_signature(data, signature, public)


def test_a_signature_by_another_key_is_refused(pair: tuple[Path, bytes], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", other])
    with pytest.raises(Failure, match="no good signature"):
        sign_statement(STATEMENT, openssl(other), key=pair[1])


@pytest.mark.parametrize("size", [0, 65537])
def test_what_is_no_signature_is_refused(size: int) -> None:
    with pytest.raises(HostFailed, match=f"printed {size} bytes"):
        sign_statement(STATEMENT, Scripted(lambda _data: b"x" * size))


def test_a_signer_that_fails_says_why() -> None:
    with pytest.raises(HostFailed, match="no token"):
        sign_statement(STATEMENT, DetachedCommand(("sh", "-c", "echo no token >&2; exit 2")))


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="no public key"):
        verify_signature(b"x", b"y", b"-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n")
