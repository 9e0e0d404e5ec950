"""Installing exact lists of packages: mmdebstrap into a directory, or apt on a layer. Offline, in the sandbox."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from debcore.errors import CommandFailed, DepsUnmet, Failure, find_full
from debcore.path import inside
from debroot.debfile import parse_fields
from debroot.emulate import find_emulation
from debroot.localrepo import make_repository
from debroot.owned import show_all
from debroot.sandbox import ENVIRONMENT, Bind, Sandbox, run_in
from debroot.store import Layer, Package, Store

log = logging.getLogger(__name__)

REPOSITORY = "/tmp/repository"  # noqa: S108 -- inside the sandbox
TARGET = "/tmp/target"  # noqa: S108
SETTINGS = "/tmp/settings"  # noqa: S108

#: Bytes; a file system with less is full.
LITTLE = 1 << 20

#: Environment of dpkg, apt and maintainer scripts.
INSTALL_ENVIRONMENT = {
    **ENVIRONMENT,
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "DEBCONF_NOWARNINGS": "yes",
}

#: Last steps in a root that is to be built in: the files that a sandbox covers with its own exist and are empty,
#: services do not start, and apt knows no source.
ROOT_HOOK = """set -e
rm -f "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/* "$1/etc/resolv.conf" "$1/etc/hostname"
rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"
touch "$1/etc/hosts" "$1/etc/hostname" "$1/etc/resolv.conf"
printf '#!/bin/sh\\nexit 101\\n' > "$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
"""

#: Last steps in a system tree: nothing of the machine that made it stays.
TREE_HOOK = """set -e
rm -f "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/* "$1/etc/resolv.conf" "$1/etc/hostname"
rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap" "$1/etc/hosts"
"""


def bootstrap_into(
    store: Store,
    target: Path,
    packages: Sequence[Package],
    *,
    suite: str,
    arch: str,
    tools: Layer | None,
    hook: str = ROOT_HOOK,
    dpkg_options: Sequence[str] = (),
    source_date_epoch: int | None = None,
    output: Path | None = None,
) -> None:
    """mmdebstrap of *tools* (None: the host's) makes a root of exactly *packages* in the empty directory *target*.

    *output* gets what it prints. Errors: CommandFailed; Failure if the result has other packages.
    """
    names = {package.name for package in packages}
    with ExitStack() as undo:
        place = undo.enter_context(store.workplace())
        repository = place / "repository"
        make_repository(store, packages, repository, suite=suite, arch=arch)
        settings = place / "settings"
        settings.mkdir()
        (settings / "hook").write_text(f"#!/bin/sh\n{hook}")
        (settings / "hook").chmod(0o755)
        show_all(settings)
        argv = [
            "mmdebstrap", "--mode=root", f"--variant={'apt' if 'apt' in names else 'essential'}",
            f"--architectures={arch}", f"--include={','.join(sorted(names))}", "--format=directory",
            "--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Languages \"none\"",
            "--aptopt=APT::Install-Recommends \"false\"", "--aptopt=APT::Sandbox::User \"root\"",
            *(f"--dpkgopt={option}" for option in dpkg_options),
            "--skip=check/qemu",  # it looks at the host's binfmt_misc
            f"--customize-hook={SETTINGS}/hook", suite, TARGET,
            f"deb [trusted=yes] copy:{REPOSITORY} {suite} main",
        ]  # fmt: skip
        env = {**INSTALL_ENVIRONMENT}
        if source_date_epoch is not None:
            env["SOURCE_DATE_EPOCH"] = str(source_date_epoch)
        binds = (
            Bind(source=repository, target=REPOSITORY),
            Bind(source=settings, target=SETTINGS),
            Bind(source=target, target=TARGET, readonly=False),
        )
        where = {"root": Path("/")} if tools is None else {"lowers": tools.lowers()}
        emulation = find_emulation(store, arch)
        box = Sandbox(binds=binds, env=env, suppress_sync=True, emulation=emulation, **where)
        file = undo.enter_context((output or place / "log").open("w+b"))
        try:
            run_in(box, argv, idmap=store.idmap, stdout=file, stderr=file)
        except CommandFailed as error:
            file.seek(0)
            said = file.read().decode("utf-8", "replace")
            if find_full(said) is None and is_full(target):  # what it had to say of it found no room either
                said += f"\n{target}: {os.strerror(errno.ENOSPC)}"
            raise CommandFailed(argv, error.exit_status, said) from error
    check_installed(target, packages)


def is_full(path: Path) -> bool:
    """Whether the file system of *path* has no room to speak of."""
    now = os.statvfs(path)
    return now.f_bavail * now.f_frsize < LITTLE


def install_on(
    store: Store,
    layer: Layer,
    upper: Path,
    packages: Sequence[Package],
    removed: Sequence[str] = (),
    *,
    flat: bool = False,
    command: Sequence[str] | None = None,
) -> None:
    """The apt of *layer* installs exactly *packages* on it; what changes lands in *upper*. Errors: CommandFailed.

    *flat*: *upper* is a whole copy of the layer. *command*: words for apt-get in place of `install NAME=VERSION…`;
    it sees no other packages than these.
    """
    suite = "local"
    with ExitStack() as undo:
        place = undo.enter_context(store.workplace())
        repository = place / "repository"
        make_repository(store, packages, repository, suite=suite, arch=layer.arch)
        settings = place / "settings"
        settings.mkdir()
        (settings / "none").mkdir()
        (settings / "sources.list").write_text(f"deb [trusted=yes] copy:{REPOSITORY} {suite} main\n")
        (settings / "apt.conf").write_text(_private_config())
        show_all(settings)
        words = [f"{p.name}:{p.arch}={p.version}" if p.arch != "all" else f"{p.name}={p.version}" for p in packages]
        foreign = sorted({package.arch for package in packages} - {"all", layer.arch})
        script = (
            "set -e; "
            + "".join(f"dpkg --add-architecture {arch}; " for arch in foreign)
            + "mkdir -p /run/apt/lists/partial /run/apt/archives/partial; apt-get -q update; "
            'exec apt-get -q -y --allow-downgrades --allow-remove-essential "$@"'
        )
        box = Sandbox(
            lowers=() if flat else layer.lowers(),
            upper=None if flat else upper,
            root=upper if flat else None,
            binds=(Bind(source=repository, target=REPOSITORY), Bind(source=settings, target=SETTINGS)),
            env={**INSTALL_ENVIRONMENT, "APT_CONFIG": f"{SETTINGS}/apt.conf"},
            suppress_sync=True,
            emulation=find_emulation(store, layer.arch),
        )
        line = ["install", *words, *(f"{name}-" for name in removed)] if command is None else [*command]
        try:
            run_in(box, ["sh", "-c", script, "apt", *line], idmap=store.idmap, capture=True)
        except CommandFailed as error:
            raise CommandFailed(["apt-get", *line], error.exit_status, error.output) from error


def _private_config() -> str:
    values = {
        "Dir::Etc::sourcelist": f"{SETTINGS}/sources.list",
        "Dir::Etc::sourceparts": f"{SETTINGS}/none",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": f"{SETTINGS}/none",
        "Dir::State::lists": "/run/apt/lists",
        "Dir::Cache": "/run/apt",
        "Dir::Cache::archives": "/run/apt/archives",
        "Dir::Log": "/run/apt",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Languages": "none",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Dpkg::Use-Pty": "false",
        "Dpkg::Options::": "--force-confold",
    }
    return "".join(f'{key} "{value}";\n' for key, value in values.items())


def parse_status(text: str) -> dict[tuple[str, str], str]:
    """(name, architecture) → version of what dpkg's status file calls installed."""
    found = {}
    for stanza in text.split("\n\n"):
        fields = parse_fields(stanza)
        if fields.get("status", "").split()[-1:] == ["installed"]:
            found[fields["package"], fields["architecture"]] = fields["version"]
    return found


def check_installed(root: Path, packages: Sequence[Package]) -> None:
    """Errors: DepsUnmet if dpkg in *root* has other packages than these."""
    status = inside(root, "var/lib/dpkg/status")
    try:
        text = status.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Failure(f"{status}: {error.strerror}") from error
    if found := difference(text, packages):
        raise DepsUnmet(f"the root has other packages than planned; {found}")


def difference(text: str, packages: Sequence[Package]) -> str:
    """How dpkg's database *text* differs from *packages*, for a person; "" if it does not."""
    found = parse_status(text)
    wanted = {(p.name, p.arch): p.version for p in packages}
    lacking = sorted(f"{n}:{a} {v}" for (n, a), v in wanted.items() if found.get((n, a)) != v)
    surplus = sorted(f"{n}:{a} {v}" for (n, a), v in found.items() if wanted.get((n, a)) != v)
    return f"lacking: {lacking}, surplus: {surplus}" if lacking or surplus else ""
