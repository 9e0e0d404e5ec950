"""deb-bootc-compose init"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from deb_bootc_compose.manifest.load import load_manifest
from debcore.command import run
from debcore.errors import CommandFailed, ConfigError, Failure
from debcore.path import write_file

#: Each is a directory of examples/, in the order in which they are offered, with what it is.
TEMPLATES: Mapping[str, str] = {
    "minimal": "the least that boots, lets you in by ssh and updates itself",
    "server": "the same with two packages that are built from source",
    "composefs": "forky, whose ostree makes the root a composefs",
    "workstation": "GNOME, programs as Flatpaks",
    "particle": "a derivative with a name of its own: sway, podman, distrobox, Flatpaks",
}
GITIGNORE = "composes/\n"


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("-t", "--template", type=click.Choice(list(TEMPLATES)), default="minimal", show_default=True,
              help="What to begin with.")  # fmt: skip
@click.option("--list", "listing", is_flag=True, help="Print the templates, and write nothing.")
def command(directory: Path | None, template: str, listing: bool) -> None:
    """Write a manifest into DIRECTORY, to compose at once or to change; nothing that is there is overwritten.

    The image is called as the directory.
    """
    if listing:
        for name, what in TEMPLATES.items():
            click.echo(f"{name:12} {what}")
        return
    if directory is None:
        raise ConfigError("DIRECTORY", "is missing", hint="deb-bootc-compose init DIRECTORY")
    source = find_examples() / template
    files = dict(_read_files(source))
    programs = {file for file in files if (source / file).stat().st_mode & 0o100}
    name = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-") or template
    name = name if name[0].isalpha() else f"image-{name}"
    files["compose.yaml"] = call_it(files["compose.yaml"].decode(), source, name, host_arch()).encode()
    directory.mkdir(parents=True, exist_ok=True)
    for file in files:
        if (directory / file).exists():
            raise Failure(f"{directory / file} exists", hint="choose another directory, or remove the file")
    for file, content in files.items():
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        write_file(directory / file, content, mode=0o755 if file in programs else 0o644)
    if not (directory / ".gitignore").exists():
        write_file(directory / ".gitignore", GITIGNORE)
    click.echo(f"{directory / 'compose.yaml'}: compose it with: deb-bootc-compose build {directory}")


def find_examples() -> Path:
    """The directory with the examples: of the installed package, or of the source tree."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / "examples", package.parents[1] / "examples"):
        if (place / "minimal/compose.yaml").is_file():
            return place
    raise Failure("the templates are not installed", hint="install deb-bootc-compose again")


def _read_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that is part of the example, by its path below *source*."""
    for path in sorted(source.rglob("*")):
        inner = path.relative_to(source)
        if path.is_file() and inner.parts[0] != "composes":
            yield str(inner), path.read_bytes()


def call_it(text: str, source: Path, name: str, arch: str) -> str:
    """compose.yaml *text* of the example in *source* with its own names replaced by *name*, and made for *arch*."""
    manifest = load_manifest(source)
    release, (spec, *_) = manifest.compose.release, manifest.specs
    title, short = name.replace("-", " ").title(), "".join(word.title() for word in name.split("-"))
    vendor = spec.variant.ref.partition("/")[0]
    text = text.replace(f"name: {release.name}, short: {release.short},", f"name: {title}, short: {short},")
    text = text.replace(f"  {spec.name}:\n    #", f"  {name}:\n    #").replace(
        f"  {spec.name}:\n    a", f"  {name}:\n    a"
    )
    text = re.sub(rf"\b{vendor}/(\$\{{suite\}}/\$\{{arch\}})/\S+", rf"{name}/\1", text)
    text = re.sub(rf"name: {vendor}/[a-z$\{{\}}]+", f"name: {name}", text)
    return text.replace("arches: [amd64]", f"arches: [{arch}]")


def host_arch() -> str:
    """Debian's name of this host's architecture, if images of it can be made. Errors: Failure."""
    try:
        arch = run(["dpkg", "--print-architecture"]).text.strip()
    except CommandFailed:
        arch = "amd64"
    return arch if arch in ("amd64", "arm64") else "amd64"
