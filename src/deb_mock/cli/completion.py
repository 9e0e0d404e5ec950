"""deb-mock completion."""

from __future__ import annotations

import click

from deb_mock.cli.options import as_json
from debcore.cli import completion_script, print_json


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@as_json
def command(*, shell: str, as_json: bool) -> None:
    """Print what SHELL must read so that Tab completes verbs, options, presets, plugins and files.

    \b
    deb-mock completion bash >> ~/.bash_completion
    deb-mock completion zsh > ~/.zfunc/_deb-mock
    deb-mock completion fish > ~/.config/fish/completions/deb-mock.fish
    """
    script = completion_script("deb-mock", shell)
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script)
