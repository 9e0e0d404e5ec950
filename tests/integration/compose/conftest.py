"""One manifest for all tests of a module."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.compose.world import MANIFEST, Composer, copy_base


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory, store_dir: Path) -> Composer:
    directory = tmp_path_factory.mktemp("manifest")
    copy_base(directory)
    (directory / "compose.yaml").write_text(MANIFEST)
    (directory / "motd").write_text("Made by a test.\n")
    state = tmp_path_factory.mktemp("state")
    assert os.environ["DEBOOTC_STORE"] == str(store_dir)
    return Composer(directory, {"XDG_STATE_HOME": str(state)})
