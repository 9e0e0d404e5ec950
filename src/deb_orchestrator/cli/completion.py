"""deb-orchestrator completion."""

from __future__ import annotations

import click

from debcore.cli import completion_script, print_json


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(shell: str, as_json: bool) -> None:
    """Print what SHELL must read so that Tab completes verbs, options and files.

    \b
    deb-orchestrator completion bash >> ~/.bash_completion
    deb-orchestrator completion zsh > ~/.zfunc/_deb-orchestrator
    deb-orchestrator completion fish > ~/.config/fish/completions/deb-orchestrator.fish
    """
    script = completion_script("deb-orchestrator", shell)
    print_json({"shell": shell, "script": script}) if as_json else click.echo(script)
