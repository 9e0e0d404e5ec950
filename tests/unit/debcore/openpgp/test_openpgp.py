"""One contract for both OpenPGP programs; each reads the other's keys, gpgv reads both's signatures."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debcore.command import run
from debcore.errors import Failure, HostFailed
from debcore.openpgp import (
    JointSigner,
    Signer,
    dearmor,
    find_backend,
    generate_key,
    gnupg,
    join_certificates,
    load_signer,
    verify_detached,
    verify_inline,
)
from debcore.openpgp.armor import enarmor
from debcore.openpgp.keys import BACKENDS

TEXT = b"Suite: trixie\n- dashed\nFrom x\n\nmore \tblanks inside\n"


@pytest.fixture(scope="module")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("keys")
    for name in BACKENDS:
        generate_key(directory / name, f"{name} test <a@example.org>", backend=name)
    return {name: directory / name for name in BACKENDS}


@pytest.fixture(
    params=[(made, used) for made in BACKENDS for used in BACKENDS], ids=lambda p: f"{p[0]}-key-{p[1]}-signs"
)
def signer(request: pytest.FixtureRequest, key_files: dict[str, Path]) -> Signer:
    made, used = request.param
    return load_signer(key_files[made], backend=used)


def test_inline(signer: Signer) -> None:
    signed = signer.sign_inline(TEXT)
    verified = verify_inline(b"before\n" + signed + b"after\n", [signer.public_key()], where="x")
    assert verified.payload == TEXT, "and not what stands around it"
    assert verified.fingerprints == (signer.fingerprint,)


def test_detached(signer: Signer) -> None:
    key = signer.public_key()
    armored, binary = signer.sign_detached(TEXT), signer.sign_detached(TEXT, armor=False)
    assert armored.startswith(b"-----BEGIN PGP SIGNATURE-----")
    assert binary[0] & 0x80
    for signature in (armored, binary):
        assert verify_detached(TEXT, signature, [key], where="x").fingerprints == (signer.fingerprint,)
        with pytest.raises(Failure, match="x: no good signature"):
            verify_detached(TEXT + b" ", signature, [key], where="x")


def test_keys_are_read_by_both(key_files: dict[str, Path]) -> None:
    for path in key_files.values():
        prints = {load_signer(path, backend=name).fingerprint for name in BACKENDS}
        assert len(prints) == 1
        assert path.stat().st_mode & 0o777 == 0o600


def tampered(data: bytes) -> bytes:
    return data.replace(b"trixie", b"forky!")


@pytest.mark.parametrize("change", [tampered, lambda _: TEXT, lambda _: b"", lambda data: data[: len(data) // 2]])
def test_bad_inline_signatures(key_files: dict[str, Path], change: Callable[[bytes], bytes]) -> None:
    signer = load_signer(key_files["gpg"])
    with pytest.raises(Failure, match=r"a\.dsc: no good signature"):
        verify_inline(change(signer.sign_inline(TEXT)), [signer.public_key()], where="a.dsc")


def test_a_strangers_signature(key_files: dict[str, Path]) -> None:
    ours, stranger = (load_signer(path) for path in key_files.values())
    with pytest.raises(Failure, match="unknown key"):
        verify_inline(stranger.sign_inline(TEXT), [ours.public_key()], where="a.dsc")
    with pytest.raises(Failure):
        verify_detached(TEXT, b"", [ours.public_key()], where="x")
    both = [ours.public_key(), stranger.public_key()]
    assert verify_inline(stranger.sign_inline(TEXT), both, where="x").fingerprints == (stranger.fingerprint,)


def test_a_revoked_key(tmp_path: Path) -> None:
    with gnupg._home() as home:
        gpg = gnupg._gpg(home)
        run([*gpg, "--quick-generate-key", "Revoked", "ed25519", "sign", "never"])
        signed = run([*gpg, "--clearsign"], stdin=TEXT).stdout
        good = run([*gpg, "--export"]).stdout
        (certificate,) = (home / "openpgp-revocs.d").glob("*.rev")
        run([*gpg, "--import"], stdin=certificate.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
        revoked = run([*gpg, "--export"]).stdout
    assert verify_inline(signed, [good], where="a.dsc").payload == TEXT
    with pytest.raises(Failure, match=r"a\.dsc: signed by the revoked key"):
        verify_inline(signed, [revoked], where="a.dsc")


def test_armor(key_files: dict[str, Path]) -> None:
    key = load_signer(key_files["gpg"]).public_key()
    packets = dearmor(key)
    assert packets == dearmor(packets)
    assert dearmor(key + "\n" + key) == packets * 2
    assert dearmor(key.replace("\n", "\r\n")) == packets
    for bad in ("", "nonsense", "-----BEGIN PGP SIGNATURE-----\n\n????\n-----END PGP SIGNATURE-----\n"):
        with pytest.raises(Failure):
            dearmor(bad)


def test_no_agent_and_no_home_stay(key_files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    homes: list[str] = []
    mkdtemp = tempfile.mkdtemp

    def record(**options: Any) -> str:
        made = Path(mkdtemp(**options))
        homes.append(str(made.with_name(made.name.removeprefix("."))))  # the name it has while it is used
        return str(made)

    monkeypatch.setattr(tempfile, "mkdtemp", record)
    load_signer(key_files["gpg"], backend="gpg").sign_inline(TEXT)
    assert homes
    assert not [home for home in homes if Path(home).exists()]
    assert_nothing_runs_in(homes)


def test_what_a_killed_process_left_is_removed(key_files: dict[str, Path]) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from debcore.openpgp import gnupg
with gnupg._home() as home:
    gnupg.run([*gnupg._gpg(home), "--import", sys.argv[1]])
    gnupg.run([*gnupg._gpg(home), "--clearsign"], stdin=b"x")
    print(home, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = run([sys.executable, "-c", code, key_files["gpg"]], check=False)
    home = Path(done.text.strip())
    assert done.status == -9
    assert home.is_dir(), "the killed process could not remove it"
    load_signer(key_files["gpg"], backend="gpg").sign_inline(TEXT)
    assert not home.exists()
    assert_nothing_runs_in([str(home)])


def assert_nothing_runs_in(homes: list[str]) -> None:
    """Soon: an agent says that it ends before it has ended."""
    end = time.monotonic() + 30
    while True:
        running = [line for line in run(["ps", "-eo", "stat,args"]).text.splitlines() if not line.startswith("Z")]
        left = [line for line in running if any(home in line for home in homes)]
        if not left:
            return
        assert time.monotonic() < end, left
        time.sleep(0.05)


def test_a_key_is_never_overwritten(key_files: dict[str, Path]) -> None:
    with pytest.raises(Failure, match="a key already"):
        generate_key(key_files["gpg"], "x")


def test_a_host_without_any_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debcore.openpgp.keys.find_program", lambda name: None)
    with pytest.raises(HostFailed, match="no OpenPGP program"):
        find_backend()


@pytest.mark.parametrize("program", BACKENDS)
def test_two_keys_sign_as_one(key_files: dict[str, Path], program: str) -> None:
    """Whoever holds either of them, or both, finds good signatures of the very text."""
    one, two = (load_signer(path, backend=program) for path in key_files.values())
    joint = JointSigner([one, two])
    inline, detached = joint.sign_inline(TEXT), joint.sign_detached(TEXT)
    assert inline.count(b"BEGIN PGP SIGNATURE") == detached.count(b"BEGIN PGP SIGNATURE") == 1
    both = join_certificates([one.public_key(), two.public_key()])
    assert both.count("BEGIN") == 1
    assert dearmor(joint.public_key()) == dearmor(both)
    assert joint.fingerprint.split() == [one.fingerprint, two.fingerprint]
    verified = verify_inline(inline, [both], where="x")
    assert verified.payload == TEXT
    assert set(verified.fingerprints) == {one.fingerprint, two.fingerprint}
    assert set(verify_detached(TEXT, detached, [both], where="x").fingerprints) == set(verified.fingerprints)
    assert dearmor(joint.sign_detached(TEXT, armor=False))[:1] == dearmor(detached)[:1]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 48])
def test_armour_ends_with_its_checksum(size: int) -> None:
    """Without one, gpgv of Debian 12 reads on past a body that needs no padding."""
    text = enarmor(b"\x88" * size, "PGP SIGNATURE")
    assert re.fullmatch(r"=[A-Za-z0-9+/]{4}", text.splitlines()[-2])
    assert size == 0 or dearmor(text) == b"\x88" * size


def test_keys_of_programs_that_frame_the_text_differently() -> None:
    class Odd:
        fingerprint = "0" * 40

        def __init__(self, head: bytes) -> None:
            self._head = head

        def sign_inline(self, data: bytes) -> bytes:
            return self._head + data + b"-----BEGIN PGP SIGNATURE-----\n"

        def sign_detached(self, data: bytes, *, armor: bool = True) -> bytes:
            return b""

        def public_key(self) -> str:
            return ""

    with pytest.raises(HostFailed, match="framed the same text differently"):
        JointSigner([Odd(b"Hash: SHA512\n\n"), Odd(b"Hash: SHA256\n\n")]).sign_inline(TEXT)
