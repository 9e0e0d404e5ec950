"""The repositories that a gate's machine updates from, made beside the compose's own, which nobody may find yet.

update/     the compose's commit under its ref, signed as it will be published; its objects are the compose's
unsigned/   a commit like it that nobody signed: a machine that demands signatures must refuse it
broken/     a commit like it that does not boot, signed
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from deb_bootc_compose.ostree import Repository, object_name, sign_commit, sign_summary
from deb_bootc_compose.tree.outside import run_tools
from debcore.openpgp import Signer
from debroot.sandbox import Bind

#: How an update can be broken: an initramfs that is none (the kernel panics), a health check that fails.
Breakage = Literal["initramfs", "health"]

SERVED = "/served"

#: Shell that puts a change into /run/o; $2 is the kernel.
BREAK: Mapping[Breakage, str] = {
    "initramfs": """mkdir -p "/run/o/usr/lib/modules/$2"
echo 'this is no initramfs' > "/run/o/usr/lib/modules/$2/initramfs.img"
""",
    "health": """units=/run/o/usr/lib/systemd/system; mkdir -p $units/boot-complete.target.requires
printf '%s\\n' '[Unit]' 'Before=boot-complete.target' '[Service]' 'Type=oneshot' 'ExecStart=/bin/false' \
    > $units/deb-bootc-gate-broken.service
ln -s ../deb-bootc-gate-broken.service $units/boot-complete.target.requires/
""",
}

#: $1: ref, $2: kernel, $3: commit, $4: timestamp. What is written over the compose's repository is thrown away, but for
#: the objects that are new: the machine has the others.
DERIVE = """set -eu; umask 022; mkdir -p /run/o/usr /run/upper /run/work /run/repo
CHANGE
mount -t overlay -o userxattr,lowerdir=/compose,upperdir=/run/upper,workdir=/run/work overlay /run/repo ||
    cp -a /compose/. /run/repo
cd /run/repo
find objects -type f | sort > /run/before
made=$(ostree --repo=. commit --orphan --bind-ref="$1" --parent="$3" --subject=gate --timestamp="@$4" --bootable \
    --add-metadata-string=version=gate --tree=ref="$3" TREE)
ostree --repo=/served init --mode=archive >&2
find objects -type f | sort | comm -13 /run/before - | xargs -r cp --parents -t /served
"""

#: The same arguments; the objects are shown from where they are.
PUBLISH = """set -eu; umask 022; made=$3
ostree --repo=/served init --mode=archive >&2
cd /compose
cp --parents -t /served OBJECT
"""

FINISH = """ostree --repo=/served refs --create="$1" "$made" >&2
ostree --repo=/served summary --update >&2
echo "$made"
"""


@dataclass(frozen=True)
class Served:
    """What the machine's web server shows: path below its root → directory or file."""

    binds: tuple[Bind, ...]
    commits: Mapping[str, str]  #: of each repository


@contextmanager
def serving(
    compose: Repository, *, commit: str, ref: str, signer: Signer | None, timestamp: int, kver: str,
    wanted: Sequence[str], breakage: Breakage = "initramfs",
) -> Iterator[Served]:  # fmt: skip
    """Make the repositories *wanted*; they are gone at exit. *timestamp*: of *commit*, seconds."""
    with compose.store.workplace(*wanted) as place:
        binds: list[Bind] = []
        commits: dict[str, str] = {}
        for name in wanted:
            repository = Repository(compose.store, compose.tools, place / name)
            if name == "update":
                script = PUBLISH.replace("OBJECT", object_name(commit, "commit"))
            else:
                change, tree = (BREAK[breakage], "--tree=dir=/run/o") if name == "broken" else ("", "")
                script = DERIVE.replace("CHANGE", change).replace("TREE", tree)
            arguments = (ref, kver, commit, str(timestamp + 1))
            commits[name] = _make(repository, compose, script + FINISH, arguments)
            if name == "broken" and signer is not None:
                sign_commit(repository, commits[name], signer)
            if name != "unsigned":
                sign_summary(repository, signer, update=False)
            binds.append(Bind(source=repository.path, target=f"/www/{name}"))
            if name == "update":
                binds.append(Bind(source=compose.path / "objects", target=f"/www/{name}/objects"))
        yield Served(tuple(binds), commits)


def _make(repository: Repository, compose: Repository, script: str, arguments: Sequence[str]) -> str:
    binds = (
        Bind(source=repository.path, target=SERVED, readonly=False),
        Bind(source=compose.path, target="/compose"),
    )
    argv = ["sh", "-c", script, "sh", *arguments]
    return run_tools(compose.store, compose.tools, argv, binds=binds, suppress_sync=True).decode().strip()
