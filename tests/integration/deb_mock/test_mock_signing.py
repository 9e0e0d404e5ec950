"""Signatures by a program outside: debsign's order, gpgv's and dscverify's rules, and a signer that fails."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from debcore.command import Completed, find_program, run
from debcore.deb822 import Stanza, parse_files, parse_stanza
from debcore.openpgp import Signer, generate_key, verify_detached, verify_inline

from .conftest import REPOSITORY

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

#: Field → hash, as dscverify checks them. Source: dscverify(1), deb-changes(5).
HASHES: Mapping[str, tuple[str, Callable[[bytes], str]]] = {
    "Files": ("md5", lambda data: hashlib.md5(data).hexdigest()),
    "Checksums-Sha1": ("sha1", lambda data: hashlib.sha1(data).hexdigest()),
    "Checksums-Sha256": ("sha256", lambda data: hashlib.sha256(data).hexdigest()),
}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Signer]:
    path = tmp_path_factory.mktemp("key") / "key"
    return path, generate_key(path, "Signer <signer@example.org>")


def signing(key: Path) -> tuple[str, ...]:
    """Options for the signer sqop, or the sign.command of gpg that does the same."""
    assert find_program("sqop") is not None, "sqop is not installed: run `make setup`"
    command = ["sqop", "inline-sign", "--as=clearsigned", str(key)]
    return ("--sign", "--set", f"sign.command={json.dumps(command)}")


def read(directory: Path, kind: str, certificate: str) -> tuple[Stanza, bytes]:
    """The signed fields of the only file of *kind*, as gpgv hands them out, and the whole file."""
    path = next(directory.glob(f"*.{kind}"))
    signed = path.read_bytes()
    return parse_stanza(verify_inline(signed, [certificate], where=path.name).payload, where=path.name), signed


def check_as_dscverify(directory: Path, fields: Stanza) -> set[str]:
    """Every file named is there with each size and hash; the names."""
    names = set()
    for field, (algorithm, digest) in HASHES.items():
        if field not in fields:
            continue
        for file in parse_files(fields[field], algorithm=algorithm, where=field):
            data = (directory / file.name).read_bytes()
            assert (file.size, file.digest) == (len(data), digest(data)), f"{field}: {file.name}"
            names.add(file.name)
    return names


def test_results_are_signed_in_debsigns_order(
    tool: Any, sources: Callable[[str], Path], key: tuple[Path, Signer], tmp_path: Path
) -> None:
    path, signer = key
    built = tool.build(sources("hostname"), tmp_path / "out", "--build=full", *signing(path))
    assert built.status == 0, built.said
    assert built.result.signed is True
    certificate = signer.public_key()
    dsc, dsc_text = read(built.directory, "dsc", certificate)
    buildinfo, _ = read(built.directory, "buildinfo", certificate)
    changes, _ = read(built.directory, "changes", certificate)
    sources_named = check_as_dscverify(built.directory, dsc)
    in_buildinfo = check_as_dscverify(built.directory, buildinfo)
    in_changes = check_as_dscverify(built.directory, changes)
    assert "hostname_3.25.dsc" in in_buildinfo or dsc["Version"] != "3.25"
    assert any(name.endswith(".dsc") for name in in_buildinfo)
    assert {name.rpartition(".")[2] for name in in_changes} >= {"dsc", "buildinfo", "deb"}
    assert sources_named <= in_changes
    listed = {output.path: output.sha256 for output in built.result.outputs}
    for file in built.directory.iterdir():
        if file.name in listed:
            assert hashlib.sha256(file.read_bytes()).hexdigest() == listed[file.name]
    statement = json.loads(next(built.directory.glob("*.provenance.json")).read_text())
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    name = next(name for name in subjects if name.endswith(".dsc"))
    assert subjects[name] == hashlib.sha256(dsc_text).hexdigest()


LAST = 'text=$(cat); case "$text" in *Changes:*) exit 1; esac; echo "$text" | "$0" "$@"'
FAILING = {
    "that refuses": ["sh", "-c", "echo no token >&2; exit 2"],
    "that is not there": ["no-such-signer"],
    "that refuses the last": [
        "sh",
        "-c",
        'text=$(cat); case "$text" in *Changes:*) exit 1; esac; echo "$text" | "$0" "$@"',
    ],
}


@pytest.mark.parametrize("command", FAILING.values(), ids=list(FAILING))
def test_a_signer_that_fails_leaves_the_results_unsigned(
    tool: Any, native: Callable[..., Path], key: tuple[Path, Signer], tmp_path: Path, command: list[str]
) -> None:
    line = [*command, "sqop", "inline-sign", "--as=clearsigned", str(key[0])] if LAST in command else command
    built = tool.build(native(), tmp_path / "out", "--sign", "--set", f"sign.command={json.dumps(line)}")
    assert built.status == 6, built.said
    assert (built.result.status, built.result.signed) == ("built", False)
    assert "sign" in built.said
    for kind in ("buildinfo", "changes"):
        text = next(built.directory.glob(f"*.{kind}")).read_text()
        assert "PGP" not in text
        check_as_dscverify(built.directory, parse_stanza(text))


def test_a_signature_by_another_key_is_refused(
    tool: Any, native: Callable[..., Path], key: tuple[Path, Signer], tmp_path: Path
) -> None:
    stranger = generate_key(tmp_path / "stranger", "Stranger <x@example.org>")
    (tmp_path / "keyring").write_text(stranger.public_key())
    words = (*signing(key[0]), "--set", f"sign.keyring={tmp_path / 'keyring'}")
    built = tool.build(native(), tmp_path / "out", *words)
    assert built.status == 6, built.said
    assert "unknown key" in built.said


def test_sign_without_a_signer_builds_nothing(tool: Any, native: Callable[..., Path], tmp_path: Path) -> None:
    built = tool.build(native(), tmp_path / "out", "--sign")
    assert built.status == 3
    assert "who signs" in built.said
    assert not (tmp_path / "out").exists()


def test_the_key_is_never_inside(
    tool: Any, native: Callable[..., Path], key: tuple[Path, Signer], tmp_path: Path
) -> None:
    tree = native(build=f"! test -e {key[0]}; ! env | grep -i sign; ! test -e {key[0].parent}")
    built = tool.build(tree, tmp_path / "out", *signing(key[0]))
    assert built.status == 0, built.said + built.log[-1000:]
    secret = key[0].read_text().split("\n\n")[1].split("\n")[0]
    for file in built.directory.iterdir():
        assert secret.encode() not in file.read_bytes()


def page_commands() -> str:
    """What docs/howto/sign.md tells a reader of an envelope to type."""
    page = (REPOSITORY / "docs/howto/sign.md").read_text()
    return page.partition("<!-- verify -->\n```sh\n")[2].partition("```")[0]


def verify_as_on_the_page(directory: Path, envelope: Path, key: Path, scratch: Path) -> Completed:
    """The page's commands, where the packages are."""
    script = page_commands()
    assert "openssl dgst" in script
    for file in directory.iterdir():
        shutil.copy(file, scratch)
    env = {"envelope": str(envelope), "key": str(key), "PATH": os.environ["PATH"]}
    return run(["sh", "-euc", script], env=env, cwd=scratch, check=False)


def test_the_provenance_is_signed_and_verified_as_the_page_says(
    tool: Any, native: Callable[..., Path], tmp_path: Path
) -> None:
    secret, public = tmp_path / "provenance.pem", tmp_path / "provenance.pub"
    run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", secret])
    run(["openssl", "ec", "-in", secret, "-pubout", "-out", public])
    command = ["openssl", "dgst", "-sha256", "-sign", str(secret)]
    words = ("--sign", "--set", f"sign.provenance={json.dumps(command)}", "--set", f"sign.provenance_key={public}")
    tree = native(build=f"! test -e {secret}; ! test -e {secret.parent}")
    built = tool.build(tree, tmp_path / "out", *words)
    assert built.status == 0, built.said + built.log[-1000:]
    assert built.result.signed is True
    envelope = next(built.directory.glob("*.intoto.jsonl"))
    assert envelope.name in {output.path for output in built.result.outputs}
    statement = next(built.directory.glob("*.provenance.json")).read_bytes()
    assert base64.b64decode(json.loads(envelope.read_text())["payload"]) == statement
    (tmp_path / "good").mkdir()
    done = verify_as_on_the_page(built.directory, envelope, public, tmp_path / "good")
    assert done.status == 0, done.stderr.decode()
    assert "Verified OK" in done.text
    assert "tiny_1.0_all.deb: OK" in done.text
    (tmp_path / "bad").mkdir()
    forged = json.loads(envelope.read_text())
    forged["payload"] = base64.b64encode(statement.replace(b"tiny", b"tony")).decode()
    (tmp_path / "forged").write_text(json.dumps(forged))
    assert verify_as_on_the_page(built.directory, tmp_path / "forged", public, tmp_path / "bad").status != 0


def test_an_openpgp_key_signs_the_provenance_too(
    tool: Any, native: Callable[..., Path], key: tuple[Path, Signer], tmp_path: Path
) -> None:
    path, signer = key
    (tmp_path / "certificate").write_text(signer.public_key())
    command = ["sqop", "sign", "--as=binary", "--no-armor", str(path)]
    setting = ("--set", f"sign.provenance={json.dumps(command)}")
    checked = ("--set", f"sign.provenance_key={tmp_path / 'certificate'}")
    built = tool.build(native(), tmp_path / "out", *signing(path), *setting, *checked)
    assert built.status == 0, built.said
    envelope = json.loads(next(built.directory.glob("*.intoto.jsonl")).read_text())
    assert envelope["signatures"][0]["keyid"] == signer.fingerprint
    signature, payload = (base64.b64decode(text) for text in (envelope["signatures"][0]["sig"], envelope["payload"]))
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d " % len(payload) + payload
    assert verify_detached(signed, signature, [signer.public_key()], where="x").fingerprints == (signer.fingerprint,)
    stranger = generate_key(tmp_path / "stranger", "Stranger <x@example.org>")
    (tmp_path / "certificate").write_text(stranger.public_key())
    refused = tool.build(native(name="other"), tmp_path / "refused", "--sign", *setting, *checked)
    assert (refused.status, refused.result.signed) == (6, False)
    assert "unknown key" in refused.said
    assert not list(refused.directory.glob("*.intoto.jsonl"))
    assert list(refused.directory.glob("*.provenance.json"))
