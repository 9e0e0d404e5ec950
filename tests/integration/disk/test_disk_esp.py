"""The ESP is FAT32 to a firmware on a disk of any size: it goes by the number of clusters, not by a name."""

from __future__ import annotations

import pytest

from deb_bootc_compose.disk.bench import open_bench
from deb_bootc_compose.disk.image import DISK, fill_esp
from deb_bootc_compose.disk.layout import FAT32_CLUSTERS, SECTOR, count_clusters, make_identity, make_layout
from debroot.store import Store

pytestmark = pytest.mark.root

GIB = 1024**3


@pytest.mark.parametrize("size", [2 * GIB, 9 * GIB, 40 * GIB], ids=lambda size: f"{size // GIB}G")
def test_it_has_clusters_enough(store: Store, size: int) -> None:
    layout = make_layout(size)
    with open_bench(store, suite="trixie", arch="amd64", binds={}) as bench:
        bench.run(["truncate", "-s", str(size), DISK])
        fill_esp(bench, layout, make_identity("tree"), "amd64")
        with (bench.scratch / "disk.raw").open("rb") as file:
            file.seek(layout.esp_start)
            clusters = count_clusters(file.read(SECTOR))
    assert clusters >= FAT32_CLUSTERS
    assert clusters == pytest.approx(layout.esp_size / 4096, rel=0.01)
