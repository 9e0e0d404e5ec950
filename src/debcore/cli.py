"""What the three command lines share: verbs that load when used, one place that turns failures into exit statuses."""

from __future__ import annotations

import errno
import gc
import importlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from debcore.errors import CommandFailed, Failure, HostFailed, Interrupted
from debcore.log import set_up_logging
from debcore.trace import TRACE, VARIABLE, parse_traceparent

if TYPE_CHECKING:  # needed by Tab only
    from click.shell_completion import CompletionItem


@contextmanager
def without_collections() -> Iterator[None]:
    """For an import: nothing that it makes is garbage, and looking for some takes a fifth of its time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


class LazyGroup(click.Group):
    """A group whose verbs are modules: `verbs` maps the word a user types to (module, one-line help).

    Each module has a click command named `command`. Only the module of the verb in use is imported.
    """

    def __init__(self, *args: Any, verbs: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = dict(verbs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.verbs, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return super().get_command(ctx, cmd_name)
        with without_collections():
            command: click.Command = importlib.import_module(self.verbs[cmd_name][0]).command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As Click's, but no verb is imported for its name."""
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(n, help=text) for n, (_, text) in self.verbs.items() if n.startswith(incomplete)]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 – Click's signature
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in self.verbs.items()])


def dispatch(group: click.Command, *, prog: str, argv: Sequence[str] | None = None) -> NoReturn:
    """Run *group* and exit: 0, 2 on usage, a Failure's own status, 128+N on signal N.

    TERM, HUP and INT raise Interrupted in the main thread, so that cleanup runs.
    """
    _raise_on_signals()
    os.umask(0o022)  # ids inside a root are other users and must read what they are shown; secrets have their own modes
    set_up_logging(verbose=os.environ.get("DEBOOTC_DEBUG") not in (None, "", "0"))
    TRACE.set(parse_traceparent(os.environ.get(VARIABLE, "")))
    try:
        status = group.main(args=list(argv) if argv is not None else None, prog_name=prog, standalone_mode=False)
        _exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        error.show()
        _exit(error.exit_code)
    except click.Abort:
        _exit(130)
    except Interrupted as stop:
        click.echo(f"{prog}: stopped by {stop}; nothing was left behind", err=True)
        _exit(128 + stop.signum)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _exit(141)
    except Failure as failure:
        report(failure, prog=prog)
        _exit(failure.status)
    except OSError as error:
        if (failed := explain_os_error(error)) is None:
            raise
        report(failed, prog=prog)
        _exit(failed.status)


#: What is no fault of ours: files that this host does not let us use.
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE, errno.EISDIR, errno.ENOTDIR)


def explain_os_error(error: OSError) -> HostFailed | None:
    """What it means for the user, if it is this host's fault."""
    where = f" at {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HostFailed(f"the disk is full{where}", hint="make room, or point DEBOOTC_STORE and TMPDIR elsewhere")
    if error.errno in REFUSED and where:
        hint = "look at its owner and its file system; if it belongs to the store, DEBOOTC_STORE names another one"
        return HostFailed(f"{error.filename}: {error.strerror}", hint=hint)
    return None


def completion_script(prog: str, shell: str) -> str:
    """What *shell* (bash, zsh or fish) must read so that Tab completes the words of *prog*."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    complete = found(click.Command(prog), {}, prog, f"_{prog.replace('-', '_').upper()}_COMPLETE")
    return found.source_template % complete.source_vars()


def report(failure: Failure, *, prog: str) -> None:
    """Print *failure* for a person: message, the output of the program that failed, hint."""
    click.echo(f"{prog}: {printable(str(failure))}", err=True)
    if isinstance(failure, CommandFailed) and failure.output.strip():
        click.echo("\n".join("  | " + printable(line) for line in failure.output.strip().splitlines()[-8:]), err=True)
    if failure.hint:
        click.echo(f"  [{printable(failure.hint)}]", err=True)


def printable(text: str) -> str:
    """*text* with control characters made visible: output of others must not steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def print_json(value: Any) -> None:
    """One JSON document on stdout. Pydantic models and paths are understood."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, default=_jsonable))


def _jsonable(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return str(value)


def _raise_on_signals() -> None:
    def raise_interrupted(signum: int, _frame: FrameType | None) -> NoReturn:
        raise Interrupted(signum)

    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(signum, raise_interrupted)


def _exit(status: int) -> NoReturn:
    sys.stdout.flush()
    sys.exit(status)
