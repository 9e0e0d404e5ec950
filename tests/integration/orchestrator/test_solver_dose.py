"""The solver of the hub is dose3, on an archive that is read by apt and on the packages of a suite."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path

import pytest

from deb_orchestrator.services.solving import DoseSolver
from debroot.dose import Asked
from tests.integration.debroot.archive import serving

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

#: dose3 adds build-essential to what is asked, as Policy 4.2 says.
SUITE = b"""\
Package: libz-dev
Version: 2.0-1
Architecture: amd64
Depends: tiny (>= 2)

Package: app
Version: 1
Architecture: all
Depends: tiny

Package: build-essential
Version: 12
Architecture: amd64
"""


def test_many_sources_in_one_pass(store_dir: Path, tmp_path: Path) -> None:
    asked = [Asked("app"), Asked("libz-dev (>= 2)"), Asked("tiny, nobody-has | nobody-else (>= 3)"), Asked("")]
    solver = DoseSolver(store_dir)
    # apt keeps what it has where a Release is older: the store may know an earlier run's archive at this very port
    first, second = (formatdate(time.time() - seconds, usegmt=True) for seconds in (120, 60))
    with serving(tmp_path) as archive:
        archive.change("1", date=first)
        before = solver.solve((archive.source,), "amd64", (), b"").release_hashes
        said = solver.solve((archive.source,), "amd64", asked, SUITE)
        assert (len(before), said.release_hashes) == (1, before)
        archive.change("2", date=second)
        assert solver.solve((archive.source,), "amd64", (), b"").release_hashes != before
        later = solver.solve((archive.source,), "amd64", asked, SUITE)
    assert [len(one) for one in said.unmet] == [0, 1, 1, 0]
    (chain,), (clause,) = said.unmet[1:3]
    assert (chain.package, chain.clause) == ("libz-dev 2.0-1", "tiny (>= 2)")
    assert [step.package for step in chain.chain] == ["build-dependencies"]
    assert (clause.package, clause.clause) == ("build-dependencies", "nobody-has | nobody-else (>= 3)")
    assert [len(one) for one in later.unmet] == [0, 0, 1, 0]
