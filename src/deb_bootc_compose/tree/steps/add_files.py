"""Put the manifest's own files into the tree, in the place of what packages left there."""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State

KARGS = "usr/lib/bootc/kargs.d"


def run(tree: Path, options: FinishOptions, state: State) -> None:
    for entry in options.add_files:
        name = entry.path.lstrip("/")
        if entry.target is None:
            files.write(tree, name, entry.content, mode=entry.mode)
        else:
            files.link(tree, name, entry.target)
    _extend_os_release(tree, dict(options.os_release))
    if options.kernel_arguments:
        words = ", ".join(f'"{word}"' for word in options.kernel_arguments)
        files.write(tree, f"{KARGS}/{_kargs_name(state.below)}", f"kargs = [{words}]\n")


def _kargs_name(below: str) -> str:
    """bootc adds up all files that it finds: those of the images below stay."""
    if not below:
        return "10-image.toml"
    return f"{20 + len([*Path(below, KARGS).glob('*-derived.toml')])}-derived.toml"


def _extend_os_release(tree: Path, values: dict[str, str]) -> None:
    """Source: os-release(5). The last line of a name counts for its readers; ours replaces the old one all the same."""
    text = files.read_text(tree, "usr/lib/os-release") or ""
    kept = [line for line in text.splitlines() if line.partition("=")[0] not in values]
    if values:
        lines = [*kept, *(f'{k}="{v}"' for k, v in sorted(values.items()))]
        files.write(tree, "usr/lib/os-release", "\n".join(lines) + "\n")
