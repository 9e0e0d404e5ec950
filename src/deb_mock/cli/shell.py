"""deb-mock shell."""

from __future__ import annotations

import click

from deb_mock.cli.options import check_terminal, selection
from deb_mock.config import choose
from debcore.cli import print_json
from debcore.errors import Failure


@click.command()
@selection
@click.option("--user", "as_user", is_flag=True, help="Be the build user, not root.")
@click.option("-n", "--no-clean", is_flag=True, help="In the named root that is called as its preset; changes stay.")
@click.option("--root", "name", metavar="NAME", help="In this named root; changes stay.")
@click.option("--last-failed", is_flag=True, help="In the newest kept root of a build that failed; changes stay.")
@click.option("build_deps", "--build-deps", metavar="WHAT", help="With the build dependencies of WHAT installed.")
@click.option("as_json", "--json", is_flag=True, help="Print how it ended as one JSON document.")
def command(
    *, preset: str | None, arch: str | None, settings: tuple[str, ...], as_user: bool, no_clean: bool,
    name: str | None, last_failed: bool, build_deps: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Open a shell in a throw-away root, where all changes are gone when it ends, or in a named one. There is no
    network but loopback.

    \b
    deb-mock shell -r trixie --build-deps hostname
    deb-mock shell --root play
    deb-mock shell --last-failed
    """
    from deb_mock.attach import SHELL
    from deb_mock.interactive import run_inside

    check_terminal("for a command use: deb-mock run -- COMMAND")
    if last_failed:
        from deb_mock.interactive import run_in_failed

        done = run_in_failed(SHELL, root=not as_user, tty=True)
    elif name or no_clean:
        from deb_mock.interactive import run_in_named

        if build_deps:
            raise Failure("--build-deps is for throw-away roots", hint="deb-mock apt --root NAME build-dep SOURCE")
        done = run_in_named(name, SHELL, preset=preset, arch=arch, options=settings, as_root=not as_user, tty=True)
    else:
        choice = choose(preset=preset, arch=arch, options=settings)
        done = run_inside(choice, SHELL, root=not as_user, tty=True, build_deps=build_deps)
    if as_json:
        print_json({"status": done.status})
    return done.status
