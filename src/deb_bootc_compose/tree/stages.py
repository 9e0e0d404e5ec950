"""The stages below the finished tree, each a layer of the store named by what went into it.

base: exact packages by mmdebstrap. archive, hub: exact packages on top, by apt from files, offline, no recommends, no
initramfs made, no service started, debconf silent. The id ledger is applied before the archive's packages install.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from deb_bootc_compose.tree.outside import call
from debcore.errors import CommandFailed, Failure
from debroot.emulate import find_emulation
from debroot.sandbox import ENVIRONMENT, Bind, Sandbox, run_in
from debroot.store import Layer, Package, Store

#: Part of every key: raise it when the way of installing changes.
RECIPE = 1

#: No initramfs while packages install (the finish makes it), no questions, no day in /etc/shadow.
ENV: Mapping[str, str] = {
    **ENVIRONMENT,
    "INITRD": "No",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "DEBCONF_TERSE": "yes",
    "SOURCE_DATE_EPOCH": "1",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
}

#: In a finished tree the tops of what is state lead into an empty /var.
OPEN = (
    "for n in home root srv mnt media opt usr/local; do"
    ' if [ -L "/$n" ]; then mkdir -p "$(readlink -m "/$n")"; fi; done; '
)

INSTALL = (
    f"umask 022; {OPEN}exec apt-get install -y -q --no-install-recommends --allow-downgrades"
    " -o APT::Sandbox::User=root -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null"
    " -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null"
    " -o Dpkg::Use-Pty=false -o Dpkg::Options::=--force-confnew -o Dpkg::Options::=--force-unsafe-io"
    ' "$@" /run/debs/*.deb'
)
#: Where documentation is left out: update-alternatives of many packages wants these directories.
MANUALS = "mkdir -p /usr/share/man/man1 /usr/share/man/man5 /usr/share/man/man7 /usr/share/man/man8; "

POLICY = "#!/bin/sh\n# Nothing starts while an image is made.\nexit 101\n"


def make_key(kind: str, below: str, content: Mapping[str, Any]) -> str:
    """Name of a layer: the hash of its kind, of the layer below and of what it adds."""
    data = json.dumps({"recipe": RECIPE, "kind": kind, "below": below, **content}, sort_keys=True)
    return f"{kind}-{hashlib.sha256(data.encode()).hexdigest()[:24]}"


def package_keys(packages: Sequence[Package]) -> list[tuple[str, str, str, str]]:
    return sorted(package.key for package in packages)


def make_filters_key(dpkg_options: Sequence[str]) -> dict[str, Sequence[str]]:
    """Part of a key where there are some: stages without them keep their names."""
    return {"dpkg_options": list(dpkg_options)} if dpkg_options else {}


def make_base_stage(
    store: Store,
    packages: Sequence[Package],
    *,
    suite: str,
    arch: str,
    log: Path | None,
    dpkg_options: Sequence[str] = (),
) -> Layer:
    """Exactly *packages* (the essential ones and apt), or the layer that exists. Errors: Failure, CommandFailed.

    *dpkg_options*: path filters, see leftout.py.
    """
    from debroot.tree import make_tree

    content = {"suite": suite, "arch": arch, "packages": package_keys(packages), **make_filters_key(dpkg_options)}
    key = make_key("base", "", content)
    with store.making(key):
        if found := store.find(key):
            return found
        with store.workplace("root") as place:
            make_tree(
                store, place / "root", packages, suite=suite, arch=arch, source_date_epoch=1, log=log,
                dpkg_options=dpkg_options,
            )  # fmt: skip
            return store.commit_layer(place, Layer(key, place, (), tuple(packages), arch, suite))


def make_package_stage(
    store: Store,
    kind: str,
    below: Layer,
    packages: Sequence[Package],
    *,
    tools: Layer,
    ids: str = "",
    log: Path | None = None,
    dpkg_options: Sequence[str] = (),
) -> Layer:
    """*below* with *packages* (all in the pool) installed on top; *below* itself if there are none.

    *dpkg_options*: path filters, see leftout.py. Errors: Failure with the end of apt's output if they do not install.
    """
    if not packages:
        return below
    key = make_key(kind, below.id, {"packages": package_keys(packages), "ids": ids, **make_filters_key(dpkg_options)})
    with store.making(key):
        if found := store.find(key):
            return found
        with store.workplace("root", "work") as place:
            upper = place / "root"
            if ids:
                _pin_ids(store, below, upper, ids, tools)
            debs = _link_debs(store, packages, place / "debs")
            policy = place / "policy-rc.d"
            policy.write_text(POLICY)
            policy.chmod(0o755)
            binds = (Bind(source=debs, target="/run/debs"), Bind(source=policy, target="/usr/sbin/policy-rc.d"))
            box = Sandbox(
                lowers=below.lowers(),
                upper=upper,
                binds=binds,
                env=ENV,
                suppress_sync=True,
                emulation=find_emulation(store, below.arch),
            )
            _install(store, box, kind, log, dpkg_options)
            replaced = {(p.name, p.arch): p for p in (*below.packages, *packages)}
            added = tuple(sorted(replaced.values(), key=lambda p: p.key))
            layer = Layer(key, place, (*below.parents, below), added, below.arch, below.suite)
            return store.commit_layer(place, layer)


def _install(store: Store, box: Sandbox, kind: str, log: Path | None, dpkg_options: Sequence[str]) -> None:
    words = [word for option in dpkg_options for word in ("-o", f"Dpkg::Options::=--{option}")]
    script = f"{MANUALS if dpkg_options else ''}{INSTALL}"
    done = run_in(box, ["sh", "-c", script, "sh", *words], idmap=store.idmap, capture=True, check=False)
    if log is not None:
        with log.open("ab") as file:
            file.write(done.stdout + done.stderr)
    if done.status:
        output = (done.stdout + done.stderr).decode("utf-8", "replace")
        shown = "\n  ".join(output.strip().splitlines()[-15:])
        raise Failure(
            f"the {kind} packages do not install (status {done.status}):\n  {shown}",
            hint="the lock must name every package that these need"
            + (f"; the whole output is in {log}" if log else ""),
        )


def _pin_ids(store: Store, below: Layer, upper: Path, ids: str, tools: Layer) -> None:
    """Change the id databases of *below* in the *upper* of the stage: Python of the tools root edits copies of them."""
    names = ("passwd", "group", "shadow", "gshadow")
    emulation = find_emulation(store, below.arch)
    with store.workplace("tree") as place:
        copy = Bind(source=place / "tree", target="/run/out", readonly=False)
        there = 'for n in "$@"; do if [ -e "$n" ]; then cp -a "$n" /run/out/etc/; fi; done'
        script = f"set -e; mkdir /run/out/etc; {there}"
        run_in(
            Sandbox(lowers=below.lowers(), binds=(copy,), emulation=emulation),
            ["sh", "-c", script, "sh", *(f"/etc/{n}" for n in names)],
            idmap=store.idmap,
            capture=True,
        )
        tree = Bind(source=place / "tree", target="/tree", readonly=False)
        call(store, tools, "deb_bootc_compose.tree.finish:pin_ids", {"ledger": ids}, binds=[tree])
        back = 'cd /run/out/etc && for n in *; do cat "$n" > "/etc/$n" || exit 1; done'
        box = Sandbox(lowers=below.lowers(), upper=upper, binds=(copy,), emulation=emulation)
        run_in(box, ["sh", "-c", back], idmap=store.idmap, capture=True)


def _link_debs(store: Store, packages: Sequence[Package], into: Path) -> Path:
    """The .debs under the names that apt wants. Errors: Failure if the pool lacks one."""
    missing = [p.name for p in store.missing(packages)]
    if missing:
        raise Failure(f"not in the pool: {', '.join(missing[:10])}", hint="fetch the lock's packages first")
    into.mkdir()
    into.chmod(0o755)  # root inside is somebody else
    for package in packages:
        version = package.version.replace(":", "%3a")
        os.link(store.pool_path(package.sha256), into / f"{package.name}_{version}_{package.arch}.deb")
    return into


def copy_merged(store: Store, layer: Layer, target: Path) -> None:
    """All of *layer* and what is below it, merged, into the empty directory *target* (of the id map)."""
    binds = (Bind(source=target, target="/run/out", readonly=False),)
    box = Sandbox(lowers=layer.lowers(), binds=binds, emulation=find_emulation(store, layer.arch))
    argv = ["cp", "-a", "-x", "--reflink=auto", "/.", "/run/out/"]
    try:
        run_in(box, argv, idmap=store.idmap, capture=True)
    except CommandFailed as error:
        raise Failure(f"the tree cannot be copied: {error}", hint="is the disk full? see `df`") from error


def write_log(log: IO[bytes] | None, text: str) -> None:
    if log is not None:
        log.write(text.encode())
        log.flush()
