"""A full disk, in whatever form Python tells of it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from deb_bootc_compose.directory import explaining_full_disk
from debcore.errors import LimitHit

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there/blob")


@pytest.mark.parametrize("error", [FULL, shutil.Error([("/here/blob", "/there/blob", str(FULL))])])
def test_a_full_disk_is_told_with_what_to_do(error: OSError) -> None:
    with pytest.raises(LimitHit, match="no space left on the disk") as caught, explaining_full_disk(Path("/c")):
        raise error
    assert caught.value.hint == "free some, then: deb-bootc-compose resume /c"


def test_other_errors_stay_what_they_are() -> None:
    other = shutil.Error([("/here/blob", "/there/blob", "Permission denied")])
    with pytest.raises(shutil.Error), explaining_full_disk(Path("/c")):
        raise other
