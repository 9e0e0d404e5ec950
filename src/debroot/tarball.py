"""A root that somebody else made, as a layer: unpacked once, known by the hash of its tar file."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from debcore.errors import CommandFailed, ConfigError
from debroot.install import ROOT_HOOK, parse_status
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Package, Store, layer_id

log = logging.getLogger(__name__)

TARGET = "/tmp/target"  # noqa: S108 -- inside the sandbox
#: First bytes of a compressed tar file → tar's option.
COMPRESSIONS = {b"\x1f\x8b": "--gzip", b"\xfd7zXZ\x00": "--xz", b"\x28\xb5\x2f\xfd": "--zstd", b"BZh": "--bzip2"}


def import_tarball(store: Store, tarball: Path, *, arch: str, suite: str) -> Layer:
    """The root in *tarball*, unpacked as root inside. Its packages are known by name and version only, not by hash.

    Errors: ConfigError if it holds no Debian root of *arch*.
    """
    with tarball.open("rb", buffering=0) as file:  # the position is the descriptor's, which tar gets
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        key = layer_id({"tarball": digest, "arch": arch}, ())
        if (found := store.find(key)) is not None:
            return found
        with store.making(f"layer-{key}"), store.workplace("root") as place:
            if (found := store.find(key)) is not None:
                return found
            log.info("Unpacking %s", tarball)
            file.seek(0)
            head = file.read(8)
            file.seek(0)
            option = next((word for start, word in COMPRESSIONS.items() if head.startswith(start)), None)
            binds = (Bind(source=place / "root", target=TARGET, readonly=False),)
            box = Sandbox(root=Path("/"), binds=binds)
            # devices cannot be made in a user namespace, and each sandbox has its own
            argv = [
                "tar",
                "--extract",
                "--directory",
                TARGET,
                "--numeric-owner",
                "--exclude=./dev/*",
                "--exclude=dev/*",
            ]
            try:
                run_in(
                    box, [*argv, *([option] if option else []), "--file=-"], idmap=store.idmap, stdin=file, capture=True
                )
            except CommandFailed as error:
                raise ConfigError(str(tarball), f"is no tar file: {error}", hint=error.hint) from error
            packages = read_packages(store, place / "root", tarball)
            if ("dpkg", arch) not in {(package.name, package.arch) for package in packages}:
                raise ConfigError(str(tarball), f"holds no root for {arch}", hint="name its architecture with --arch")
            run_in(box, ["sh", "-c", ROOT_HOOK, "sh", TARGET], idmap=store.idmap, capture=True)
            return store.commit_layer(place, Layer(key, place, (), packages, arch, suite))


def read_packages(store: Store, root: Path, tarball: Path) -> tuple[Package, ...]:
    """What dpkg's database in *root* calls installed. Errors: ConfigError."""
    box = Sandbox(root=Path("/"), binds=(Bind(source=root, target=TARGET),))
    done = run_in(box, ["cat", f"{TARGET}/var/lib/dpkg/status"], idmap=store.idmap, capture=True, check=False)
    if done.status != 0:
        raise ConfigError(str(tarball), "holds no Debian root: var/lib/dpkg/status is missing")
    installed = sorted(parse_status(done.text).items())
    return tuple(Package(name=name, version=version, arch=arch, sha256="") for (name, arch), version in installed)
