"""Hooks of plugins around what a person does in a root: shells, commands, snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deb_mock.config import Choice
from debcore.command import Completed

if TYPE_CHECKING:  # a plain `run` starts sooner without them
    from deb_mock.plugin import Inside
    from deb_mock.workspace import Workspace


@contextmanager
def root_hooks(choice: Choice, space: Workspace, *, shell: bool, name: str = "") -> Iterator[list[Completed]]:
    """preshell and postshell around the block, or prechroot and postchroot. The block puts how its command ended into
    the list; without that no hook follows."""
    done: list[Completed] = []
    if not choice.settings.plugins:
        yield done
        return

    def run(argv: Sequence[str], root: bool) -> Completed:
        return space.run(argv, root=root)

    word = "shell" if shell else "chroot"
    call_root_hook(choice, f"pre{word}", name=name, space=run)
    yield done
    if done:
        call_root_hook(choice, f"post{word}", name=name, space=run, status=done[0].status)


def call_root_hook(
    choice: Choice,
    hook: str,
    *,
    name: str,
    status: int | None = None,
    label: str = "",
    labels: Sequence[str] = (),
    space: Inside | None = None,
) -> None:
    """Call *hook* of all plugins that *choice* enables. Errors: Failure as a plugin raises it; HostFailed."""
    if not choice.settings.plugins:
        return
    from deb_mock.plugin import ROOT_HOOKS, Root
    from deb_mock.plugins.registry import call_plugin, load_plugins

    assert hook in ROOT_HOOKS
    root = Root(
        name=name,
        preset=choice.preset.name,
        suite=choice.suite,
        arch=choice.arch,
        status=status,
        label=label,
        labels=tuple(labels),
        space=space,
    )
    for plugin_name, plugin in load_plugins(choice.settings.plugins, choice.resolved.origins).items():
        call_plugin(plugin_name, plugin, hook, root)
