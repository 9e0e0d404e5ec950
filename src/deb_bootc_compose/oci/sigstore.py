"""Signatures of images as containers/image and cosign verify them: a payload that names repository and digest, signed
with ECDSA over P-256 and SHA-256 behind a port. Whoever asks never sees the secret key.

Source: containers-signature(5), cosign's SIGNATURE_SPEC.md, "simple signing".
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from deb_bootc_compose.oci.artifacts import Signed
from debcore.errors import CommandFailed, ConfigError, Failure, HostFailed
from debcore.path import write_file
from debroot.bootstrap import tools_root
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Store

TYPE = "cosign container image signature"
MAKE = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
HINT = f"make one: {MAKE} -out KEY.pem"
PUBLIC = "openssl pkey -pubout"
CURVE = "openssl pkey -noout -text"
#: The key comes by standard input and is a file only in the memory of a sandbox that has no network.
SIGN = "umask 077; cat > /run/key; exec openssl dgst -sha256 -sign /run/key /data/payload"
VERIFY = "openssl dgst -sha256 -verify /data/key -signature /data/signature /data/payload"


class ImageSigner(Protocol):
    """One secret key for images."""

    @property
    def public_key(self) -> str:
        """In PEM."""
        ...

    def sign(self, payload: bytes) -> bytes:
        """An ECDSA signature of *payload* (P-256, SHA-256, DER). Errors: HostFailed if the signer refuses."""
        ...


@contextmanager
def bound_files(store: Store, **files: bytes) -> Iterator[Path]:
    """A directory with *files* that root of a sandbox may read."""
    with store.workplace() as place:
        data = place / "data"
        data.mkdir()
        data.chmod(0o755)
        for name, content in files.items():
            write_file(data / name, content)
        yield data


def make_payload(name: str, digest: str) -> bytes:
    """What is signed: that the manifest *digest* is one of the repository *name* (HOST/PATH). No time is in it."""
    critical = {"identity": {"docker-reference": name}, "image": {"docker-manifest-digest": digest}, "type": TYPE}
    return json.dumps({"critical": critical, "optional": None}, sort_keys=True, separators=(",", ":")).encode()


def default_key() -> Path:
    """DEBOOTC_IMAGE_KEY, else $XDG_STATE_HOME/deb-bootc-compose/image-key.pem (made when first needed)."""
    given = os.environ.get("DEBOOTC_IMAGE_KEY")
    if given:
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(home, "deb-bootc-compose", "image-key.pem")


class KeyFile:
    """A signer whose key is a file (PEM, no passphrase), used by openssl of a tools root without network."""

    def __init__(self, store: Store, path: Path, *, suite: str = "trixie") -> None:
        self._store = store
        self._tools: Layer = tools_root(store, suite=suite, packages=("openssl",))
        try:
            self._key = path.read_bytes()
        except OSError as error:
            raise ConfigError(str(path), f"cannot be read: {error.strerror}", hint="name the key of images") from error
        try:
            shown = self._run(CURVE).decode()
            self.public_key = self._run(PUBLIC).decode()
        except CommandFailed as error:
            raise ConfigError(
                str(path), "is no secret key in PEM without passphrase", hint=f"make one: {MAKE}"
            ) from error
        if "prime256v1" not in shown:
            raise ConfigError(str(path), "is not a key of the curve P-256", hint=f"make one: {MAKE}")

    def sign(self, payload: bytes) -> bytes:
        with bound_files(self._store, payload=payload) as data:
            try:
                return self._run(SIGN, data)
            except CommandFailed as error:
                raise HostFailed(f"the image was not signed: {error.output.strip()}") from error

    def _run(self, command: str, data: Path | None = None) -> bytes:
        binds = (Bind(source=data, target="/data"),) if data else ()
        box = Sandbox(lowers=self._tools.lowers(), binds=binds)
        return run_in(box, ["sh", "-c", command], idmap=self._store.idmap, stdin=self._key, capture=True).stdout


def open_key(store: Store, path: Path | None = None, *, suite: str = "trixie") -> StoredSignatures:
    """The signer of images; its key is made if it is missing. The public key is kept beside it, with the suffix .pub.

    Errors: ConfigError if the file holds no such key.
    """
    path = path or default_key()
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        tools = tools_root(store, suite=suite, packages=("openssl",))
        made = run_in(Sandbox(lowers=tools.lowers()), MAKE.split(), idmap=store.idmap, capture=True).stdout
        write_file(path, made, mode=0o600)
    signer = KeyFile(store, path, suite=suite)
    write_file(path.with_suffix(".pub"), signer.public_key, mode=0o644)
    return StoredSignatures(signer, path.parent / "signatures")


class StoredSignatures:
    """A signer that gives again what it signed before: a signature has chance in it, and an image shall have one."""

    def __init__(self, signer: ImageSigner, store: Path) -> None:
        self._signer = signer
        self._store = store
        self.public_key = signer.public_key

    def sign(self, payload: bytes) -> bytes:
        key = hashlib.sha256(self.public_key.encode()).hexdigest()[:16]
        path = self._store / f"{hashlib.sha256(payload).hexdigest()}.{key}.sig"
        if path.exists():
            return path.read_bytes()
        signature = self._signer.sign(payload)
        self._store.mkdir(mode=0o700, exist_ok=True)
        write_file(path, signature)
        return signature


def sign_digest(signer: ImageSigner, name: str, digest: str) -> Signed:
    """The signature of the manifest *digest* in the repository *name*."""
    payload = make_payload(name, digest)
    return Signed(payload, base64.b64encode(signer.sign(payload)).decode())


def check_signature(store: Store, signed: Signed, public_key: str, *, suite: str = "trixie") -> None:
    """Errors: Failure if *signed* is not by *public_key* (PEM)."""
    tools = tools_root(store, suite=suite, packages=("openssl",))
    signature = base64.b64decode(signed.signature)
    with bound_files(store, payload=signed.payload, key=public_key.encode(), signature=signature) as data:
        box = Sandbox(lowers=tools.lowers(), binds=(Bind(source=data, target="/data"),))
        try:
            run_in(box, VERIFY.split(), idmap=store.idmap, capture=True)
        except CommandFailed as error:
            raise Failure("the signature is not by this key") from error
