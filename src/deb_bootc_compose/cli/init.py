"""deb-bootc-compose init"""

from __future__ import annotations

import re
from pathlib import Path

import click

from debcore.command import run
from debcore.errors import CommandFailed, Failure
from debcore.path import write_file

COMPOSE = """\
# What to make. What goes into it stands in the included tree. All keys: schemas/compose.json
schema: deb-bootc-compose/1
release: {{name: {title}, short: {short}, version: "13"}}
suite: trixie
include: base.tree.yaml

# Packages built here and put before the archive's:
# builds:
#   - {{source: ./my-agent}}                      # a source directory of yours
#   - {{archive: hostname, suffix: "+local1"}}    # the archive's, with your patches in a later version

variants:
  {name}:
    arches: [{arch}]
    ref: {name}/${{suite}}/${{arch}}
    outputs:
      container: {{name: {name}, tags: ["${{version}}"]}}
      images:
        - {{type: qcow2}}
    lint:
      waive:
        - {{rule: bootc-client, reason: updates by OSTree only}}
"""

TREE = """\
# What is in the image. Lists append to those of includes; `!reset` before a list replaces them.
packages:
{packages}
units:
  enable: [ssh.service, systemd-networkd.service]
add-files:
  - {{from: 80-ether.network, to: /usr/lib/systemd/network/80-ether.network}}
"""

NETWORK = """\
# Every network card asks by DHCP: systemd.network(5).
[Match]
Type=ether

[Network]
DHCP=yes
"""

GITIGNORE = "composes/\n"


def packages(arch: str) -> tuple[str, ...]:
    """What a small server needs to boot by UEFI and to update by OSTree."""
    kernel = {"amd64": "linux-image-cloud-amd64", "arm64": "linux-image-cloud-arm64"}[arch]
    return (
        kernel, "systemd-sysv", "dbus", "dracut", "ostree", "ostree-boot", "e2fsprogs", "openssh-server", "iproute2",
        "grub2-common", f"grub-efi-{arch}-bin", f"grub-efi-{arch}-signed", "shim-signed", "ca-certificates",
    )  # fmt: skip


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def command(directory: Path) -> None:
    """Write a manifest for a small server into DIRECTORY; nothing that is there is overwritten."""
    name = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-") or "server"
    if not name[0].isalpha():
        name = f"image-{name}"
    arch = host_arch()
    title = name.replace("-", " ").title()
    short = "".join(word.title() for word in name.split("-"))
    files = {
        "compose.yaml": COMPOSE.format(name=name, title=title, short=short, arch=arch),
        "base.tree.yaml": TREE.format(packages="\n".join(f"  - {package}" for package in packages(arch))),
        "80-ether.network": NETWORK,
        ".gitignore": GITIGNORE,
    }
    directory.mkdir(parents=True, exist_ok=True)
    for file in files:
        if file != ".gitignore" and (directory / file).exists():
            raise Failure(f"{directory / file} exists", hint="choose another directory, or remove the file")
    for file, content in files.items():
        if not (directory / file).exists():
            write_file(directory / file, content)
    click.echo(f"{directory / 'compose.yaml'}: compose it with: deb-bootc-compose build {directory}")


def host_arch() -> str:
    """Debian's name of this host's architecture, if images of it can be made. Errors: Failure."""
    try:
        arch = run(["dpkg", "--print-architecture"]).text.strip()
    except CommandFailed:
        arch = "amd64"
    return arch if arch in ("amd64", "arm64") else "amd64"
