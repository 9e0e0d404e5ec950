"""Every verb with --json on real input, and Tab in real shells."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deb_mock.cli import VERBS
from deb_mock.workspace import Workspace, open_workspace
from debcore.command import run
from debroot.bootstrap import tools_root
from debroot.sandbox import Bind
from debroot.store import Store
from tests.integration.deb_mock.conftest import PRESET, REPOSITORY, Tool
from tests.integration.deb_mock.test_mock_named import make_deb

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]

FRESH = "--set archive.max_age=1h"
#: verb, its words, and keys of the document that it must print. In this order: each may use what those before it left.
TABLE = (
    ("init", f"-r {PRESET} --root {{root}}", {"preset", "layer", "packages", "root"}),
    ("install", "{named} {tmp}/mine_1_all.deb", {"root", "installed", "removed"}),
    ("update", "{named} dpkg", {"root", "installed", "removed"}),
    ("copyin", "{named} {tmp}/file /srv/file", {"root", "copied", "to"}),
    ("copyout", "{named} /srv/file {tmp}/back", {"root", "copied", "to", "left_out"}),
    ("run", "{named} -- cat /srv/file", {"command", "status", "stdout", "stderr"}),
    ("shell", "{named}", {"status"}),
    ("snapshot", "{named} one", {"root", "snapshots"}),
    ("rollback", "{named} one", {"root", "snapshot"}),
    ("apt", "{named} -- policy mine", {"root", "said"}),
    ("remove", "{named} mine", {"root", "installed", "removed"}),
    ("clean", "--root {root}", {"roots", "removed"}),
    ("source", f"-r {PRESET} {FRESH} --resultdir {{tmp}} {{tree}}", {"source", "version", "dsc", "files"}),
    ("lock", f"-r {PRESET} {FRESH} {{tmp}}/tiny_1.0.dsc", {"packages", "releases", "suite", "content"}),
    ("build", f"-r {PRESET} {FRESH} --resultdir {{tmp}}/out {{tmp}}/tiny_1.0.dsc", {"status", "outputs", "directory"}),
    ("check", f"-r {PRESET} {FRESH} --check install --resultdir {{tmp}}/checked {{tmp}}/out", {"status", "checks"}),
    ("rebuild", "--source {tmp}/tiny_1.0.dsc --resultdir {tmp}/again {tmp}/out/tiny_1.0_amd64.buildinfo", {"equal"}),
    ("sbuild", "-d trixie --build-dir {tmp} {tmp}/tiny_1.0.dsc", {"status", "outputs", "directory", "log"}),
    ("chain", f"-r {PRESET} {FRESH} --resultdir {{tmp}}/chain {{tmp}}/tiny_1.0.dsc", {"status", "members", "levels"}),
    ("resume", "{tmp}/chain", {"status", "members", "levels"}),
    ("list", "", {"presets", "store", "layers"}),
    ("config", "show build", {"build.type", "build.profiles"}),
    ("completion", "fish", {"shell", "script"}),
    ("doctor", "", {"ok", "checks"}),
    ("job-api", "", {"api"}),
    ("gc", "--dry-run", {"removed"}),
    ("scrub", "c-cache", {"removed", "in_use"}),
)
#: Verbs that must not meet a store that others use.
ALONE = ("gc", "scrub")


def test_the_table_has_every_verb() -> None:
    assert sorted(verb for verb, _, _ in TABLE) == sorted(VERBS)


def test_every_verb_prints_one_document(tool: Tool, native: Any, tmp_path: Path) -> None:
    root = f"json-{os.getpid()}-{secrets.token_hex(3)}"
    (tmp_path / "file").write_text("content\n")
    make_deb(tmp_path, "mine")
    given = {"tmp": tmp_path, "root": root, "named": f"-r {PRESET} --root {root}", "tree": native()}
    empty = Tool(tmp_path / "empty-store")
    try:
        for verb, words, keys in TABLE:
            before, dashes, after = words.format(**given).partition("-- ")
            # the subcommand of `config` comes first
            line = [verb, *before.split(), "--json", *([dashes.strip(), *after.split()] if dashes else [])]
            asked = empty if verb in ALONE else tool
            if verb == "shell":
                quoted = shlex.join([*asked.argv, *line])
                shell = run(["script", "-qec", quoted, "/dev/null"], stdin=b"exit 0\n", env=asked.environment())
                text = shell.text[shell.text.rindex("{") :]
            else:
                done = asked.run(*line)
                assert done.status == 0, (verb, done.text, done.stderr.decode())
                text = done.text
            document = json.loads(text)
            assert keys <= set(document), (verb, sorted(document))
    finally:
        tool.run("clean", "--root", root)


SHELLS = ("zsh", "fish")
LIBRARIES = ("click", "pydantic", "debian", "rich", "zstandard", "httpx", "yaml")

#: What a line completes to. zsh's own builtins for showing answers work in its line editor only: they are written down.
TAB = {
    "zsh": """
_describe() { for entry in "${(@P)argv[3]}"; do print -r -- "${entry%%:*}"; done }
compadd() { for entry in "${(@P)argv[-1]}"; do print -r -- "$entry"; done }
_path_files() { print -r -- FILES }
compdef() { true }
eval "$(deb-mock completion zsh)"
words=(ARGV) CURRENT=COUNT
_deb_mock_completion
""",
    "fish": """
deb-mock completion fish | source
complete -C 'LINE'
""",
}


@pytest.fixture(scope="module")
def space(store_dir: Path) -> Iterator[Workspace]:
    """A root with these shells, and deb-mock in it."""
    store = Store.open(store_dir)
    layer = tools_root(store, packages=(*SHELLS, *(f"python3-{name}" for name in LIBRARIES)))
    with open_workspace(store, layer, binds=(Bind(source=REPOSITORY / "src", target="/srv/src"),)) as opened:
        script = "#!/bin/sh\nPYTHONPATH=/srv/src exec python3 -c 'from deb_mock.cli import main; main()' \"$@\"\n"
        put = 'printf %s "$1" > /usr/local/bin/deb-mock; chmod 755 /usr/local/bin/deb-mock'
        opened.run(["sh", "-c", put, "sh", script], root=True)
        yield opened


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("deb-mock bui", "build"),
        ("deb-mock build --resul", "--resultdir"),
        ("deb-mock build -r debian-trixie-am", "debian-trixie-amd64"),
        ("deb-mock lock --enable-plugin buildr", "buildroot_report"),
        ("deb-mock config sh", "show"),
    ],
)
def test_tab_completes(space: Workspace, shell: str, line: str, offered: str) -> None:
    words = shlex.split(line)
    script = TAB[shell].replace("ARGV", shlex.join(words)).replace("COUNT", str(len(words))).replace("LINE", line)
    done = space.run([shell, *(["-f"] if shell == "zsh" else ["--no-config"]), "-c", script], check=False)
    answers = [text.split("\t")[0].strip() for text in done.text.splitlines()]
    assert offered in answers, (answers, done.stderr.decode())
