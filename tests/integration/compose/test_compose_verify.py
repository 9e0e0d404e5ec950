"""A compose is made again from an empty store by its own lock, whatever its manifest says by then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deb_bootc_compose.cli.init import find_examples
from deb_bootc_compose.directory import ComposeDirectory
from tests.integration.compose.world import Composer, outputs

pytestmark = [pytest.mark.root, pytest.mark.slow]
KEY = "minimal.amd64"


@pytest.mark.timeout(3600)
def test_it_is_the_same_whatever_the_manifest_says_by_now(tmp_path: Path, store_dir: Path) -> None:
    del store_dir
    directory = tmp_path / "manifest"
    shutil.copytree(find_examples() / "minimal", directory)
    text = (directory / "compose.yaml").read_text()
    (directory / "motd").write_text("as it was\n")
    more = "    tests: [lint]\n    add-files: [{from: motd, to: /etc/motd}]\n"
    (directory / "compose.yaml").write_text(text.rstrip() + "\n" + more)
    composer = Composer(directory, {"XDG_STATE_HOME": str(tmp_path / "state")})
    made = json.loads(composer.call("build", directory, "--skip", "lint", "--json").stdout)
    compose = ComposeDirectory(Path(made["path"]))
    (directory / "motd").write_text("as it is now\n")

    said = json.loads(composer.call("verify", compose.path, "--json").stdout)
    known = outputs(compose, KEY)
    assert said["equal"] is True
    assert {one["what"]: one["after"] for one in said["outputs"]} == {
        "commit": known["commit"], "container": known["container"], "raw disk": f"sha256:{known['raw']}",
    }  # fmt: skip
    assert [path.name for path in compose.path.parent.iterdir() if path.name.startswith(".")] == []
