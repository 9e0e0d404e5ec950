"""The user's `[hooks]`: shell commands at moments of every build, on this host or as root in the throw-away root."""

from __future__ import annotations

from deb_mock.buildlog import BuildLog
from deb_mock.commands import run_lines
from deb_mock.order import Order
from deb_mock.source import DirectorySource, DscSource, ExportSource
from deb_mock.workspace import Workspace
from debcore.errors import Failure, HostFailed

#: Stages whose commands run in the root before the results are taken from it.
CHANGING = ("chroot-setup", "starting-build", "finished-build")


def has_hooks(order: Order, stage: str) -> bool:
    return bool(_lines(order, stage))


def run_hooks(order: Order, stage: str, log: BuildLog, space: Workspace | None = None) -> None:
    """Run the commands of *stage*, sbuild's name of it. Errors: HostFailed at the first that fails."""
    lines = _lines(order, stage)
    if not lines:
        return
    try:
        run_lines(stage, lines, log, space, _environment(order))
    except Failure as failure:
        hint = f"see [hooks] in your configuration: deb-mock config show --origin hooks; {failure.hint}"
        raise HostFailed(str(failure), hint=hint) from failure


def run_last_hooks(order: Order, log: BuildLog, problem: BaseException | None) -> None:
    """post-build, or post-build-failed after a Failure. The result is decided: what fails here is only logged."""
    if problem is not None and not isinstance(problem, Failure):
        return
    try:
        run_hooks(order, "post-build-failed" if problem else "post-build", log)
    except HostFailed as failure:
        log.line(f"W: {failure}")


def hook_influences(order: Order) -> tuple[str, ...]:
    """What result.json says of commands that could change what is built."""
    return tuple(f"hooks: commands at {stage}" for stage in CHANGING if _lines(order, stage))


def _lines(order: Order, stage: str) -> tuple[str, ...]:
    if order.lock is not None and stage in CHANGING:  # with a lock, nothing else may decide the result
        return ()
    lines: tuple[str, ...] = getattr(order.choice.settings.hooks, stage.replace("-", "_"))
    return lines


def _environment(order: Order) -> dict[str, str]:
    """What commands are told. Values of the source come as variables: they are never part of a command."""
    found = {
        "DEB_MOCK_PRESET": order.choice.preset.name,
        "DEB_MOCK_SUITE": order.choice.suite,
        "DEB_MOCK_ARCH": order.choice.arch,
        "DEB_MOCK_RESULTDIR": str(order.directory),
    }
    source = order.source
    if isinstance(source, DscSource):
        found |= {"DEB_MOCK_SOURCE": source.dsc.source, "DEB_MOCK_VERSION": source.dsc.version}
    elif isinstance(source, (DirectorySource, ExportSource)):
        found |= {"DEB_MOCK_SOURCE": source.entry.source, "DEB_MOCK_VERSION": source.entry.version}
    return found
