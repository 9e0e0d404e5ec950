"""deb-mock run."""

from __future__ import annotations

import click

from deb_mock.cli.options import as_json, selection
from deb_mock.config import choose
from debcore.cli import print_json


@click.command(context_settings={"ignore_unknown_options": True})
@selection
@click.option("--as-root", is_flag=True, help="Run as root of the root, not as the build user.")
@click.option("-n", "--no-clean", is_flag=True, help="In the named root that is called as its preset; changes stay.")
@click.option("--root", "name", metavar="NAME", help="In this named root; changes stay.")
@click.option("--last-failed", is_flag=True, help="In the newest kept root of a build that failed; changes stay.")
@as_json
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]...")
def command(
    *, preset: str | None, arch: str | None, settings: tuple[str, ...], as_root: bool, no_clean: bool,
    name: str | None, last_failed: bool, as_json: bool, argv: tuple[str, ...],
) -> int:  # fmt: skip
    """Run COMMAND in a throw-away root, or in a named one, and return its exit status. There is no network but
    loopback.

    \b
    deb-mock run -r trixie -- dpkg-architecture
    deb-mock run --root play --as-root -- make -C /srv install
    deb-mock run --json -- gcc --version
    """
    if last_failed:
        from deb_mock.interactive import run_in_failed

        done = run_in_failed(argv, root=as_root, capture=as_json)
    elif name or no_clean:
        from deb_mock.interactive import run_in_named

        done = run_in_named(
            name, argv, preset=preset, arch=arch, options=settings, as_root=as_root, capture=as_json
        )  # fmt: skip
    else:
        from deb_mock.interactive import run_inside

        choice = choose(preset=preset, arch=arch, options=settings)
        done = run_inside(choice, argv, root=as_root, capture=as_json)
    if as_json:
        stderr = done.stderr.decode("utf-8", "replace")
        print_json({"command": argv, "status": done.status, "stdout": done.text, "stderr": stderr})
    return done.status
