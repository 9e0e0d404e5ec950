"""Two composes of one lock, from empty caches, by root here and by an ordinary user elsewhere: the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.cli.init import find_examples
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.journal import read_results
from debcore.command import run
from debroot.sources import CHECK_VALID_UNTIL
from tests.conftest import need_program

pytestmark = [pytest.mark.root, pytest.mark.slow]

#: A user of nobody's, who has no account on this machine.
USER, UID, SUBID = "composeuser", 64322, 901000000
REPOSITORY = Path(__file__).parents[3]
DAY = Path(__file__).with_name("another_day")
#: What the clock says where the user is; files are made by the kernel, whose clock is the machine's.
LATER = "+40d"
OUTPUTS = """\
      images:
        - {type: raw}
        - {type: qcow2}
    tests: [lint]
"""
KEY = "minimal.amd64"

ENTER = """set -eu
mount --make-rprivate /
place=$1 src=$2 site=$3 day=$4; shift 4
for name in passwd subuid subgid; do mount --bind "$place/etc/$name" "/etc/$name"; done
mount --bind "$src" "$place/src"; mount --bind "$site" "$place/site"; mount --bind "$day" "$place/day"
echo elsewhere > /proc/sys/kernel/hostname
umask 077
cd "$place/home"
exec setpriv --reuid={uid} --regid={uid} --clear-groups "$@"
"""


def proxies() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k.startswith("DEBOOTC_") and "MIRROR" in k}
    return kept | {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}


@dataclass(frozen=True)
class User:
    """deb-bootc-compose as somebody else, with another host name, umask, time zone, language and day."""

    place: Path

    @property
    def home(self) -> Path:
        return self.place / "home"

    def make(self) -> None:
        for name in ("home", "src", "site", "day", "etc"):
            (self.place / name).mkdir(parents=True)
        self.place.chmod(0o755)
        passwd = Path("/etc/passwd").read_text() + f"{USER}:x:{UID}:{UID}::{self.home}:/bin/sh\n"
        (self.place / "etc/passwd").write_text(passwd)
        for name in ("subuid", "subgid"):
            (self.place / "etc" / name).write_text(f"{USER}:{SUBID}:65536\n")
            if not Path("/etc", name).exists():  # something to lay ours over; an empty file means the same as none
                Path("/etc", name).touch()

    def give(self, source: Path, name: str) -> Path:
        """A copy of *source* in the home, owned by the user and closed to others."""
        target = self.home / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
        run(["chown", "-R", f"{UID}:{UID}", self.home])
        run(["chmod", "-R", "go=", target])
        return target

    def call(self, library: Path, *argv: str | Path) -> bytes:
        site = next(Path(entry) for entry in sys.path if (Path(entry) / "click").is_dir())
        env = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.home), "DEBOOTC_STORE": str(self.home / "a store"),
            "PYTHONPATH": ":".join(str(self.place / name) for name in ("day", "src", "site")),
            "TZ": "Pacific/Kiritimati", "LANG": "tr_TR.UTF-8", "ANOTHER_DAY": str(library), "FAKETIME": LATER,
            "FAKETIME_DISABLE_SHM": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
            CHECK_VALID_UNTIL: "no", **proxies(),
        }  # fmt: skip
        words: list[str | Path] = ["unshare", "--mount", "--uts", "sh", "-c", ENTER.format(uid=UID), "sh"]
        words += [self.place, REPOSITORY / "src", site, DAY, "env", "-i", *(f"{k}={v}" for k, v in env.items())]
        words += [Path(sys.executable).resolve(), "-m", "deb_bootc_compose", *argv]
        done = run(words, timeout=3600, check=False)
        assert done.status == 0, done.stderr.decode()
        return done.stdout


@pytest.fixture
def user(cache_dir: Path) -> Iterator[User]:
    made = User(cache_dir / f"same-{os.getpid()}")
    made.make()
    yield made
    shutil.rmtree(made.place)


@pytest.fixture
def library() -> Path:
    """libfaketime, which is loaded here and in every sandbox."""
    need_program("dpkg")
    names = run(["dpkg", "-L", "libfaketime"]).text.split()
    return next(Path(name) for name in names if name.endswith("/libfaketime.so.1"))


def make_manifest(directory: Path) -> Path:
    """The smallest example, with both kinds of disk image and no machine to start."""
    shutil.copytree(find_examples() / "minimal", directory)
    path = directory / "compose.yaml"
    text = path.read_text()
    changed = text.replace("      images:\n        - {type: qcow2}\n", OUTPUTS)
    assert changed != text
    path.write_text(changed)
    return directory


def made(compose: ComposeDirectory) -> dict[str, Any]:
    """What a compose is known by."""
    results = read_results(compose.journal_path)
    images = {image["type"]: image["sha256"] for image in results[f"image.{KEY}"]["images"]}
    container = results[f"container.{KEY}"]
    return {
        "tree": results[f"tree.{KEY}"]["id"], "commit": results[f"commit.{KEY}"]["commit"],
        "layers": container["layers"], "container": container["digest"], **images,
    }  # fmt: skip


def published(compose: ComposeDirectory) -> Mapping[str, str]:
    """Name → hash of everything that is published but the metadata, which says when and where."""
    lines = (line.split("  ", 1) for line in (compose.output / "SHA256SUMS").read_text().splitlines())
    return {name: digest for digest, name in lines if not name.startswith("metadata/")}


@pytest.mark.timeout(7200)
def test_root_here_and_a_user_elsewhere_make_the_same(tmp_path: Path, user: User, library: Path) -> None:
    manifest = make_manifest(tmp_path / "manifest")
    env = {"DEBOOTC_STORE": str(tmp_path / "store"), "XDG_STATE_HOME": str(tmp_path / "state")}
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        "deb_bootc_compose",
        "build",
        manifest,
        "--target",
        tmp_path / "out",
        "--json",
    ]
    done = run(argv, extra_env={**env, CHECK_VALID_UNTIL: "no"}, timeout=3600)
    first = ComposeDirectory(Path(json.loads(done.stdout)["path"]))

    # The signing key goes along, and what it has signed: a signature names the second in which it was made.
    user.give(tmp_path / "state", ".local/state")
    lock = user.give(first.lock_path, "the lock.json")
    theirs = user.give(manifest, "manifests/möglichst kurz")
    said = user.call(library, "build", theirs, "--target", user.home / "out put", "--locked", lock, "--json")
    second = ComposeDirectory(Path(json.loads(said)["path"]))

    assert made(second) == made(first)
    assert published(second) == published(first)
    assert second.lock_path.read_bytes() == first.lock_path.read_bytes()
