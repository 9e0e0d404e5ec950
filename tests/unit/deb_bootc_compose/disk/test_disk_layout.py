"""Where things are on the disk: exact, aligned, and the same for the same tree."""

from __future__ import annotations

import re
from dataclasses import astuple

import pytest

from deb_bootc_compose.disk.layout import (
    BLOCK,
    MIB,
    MIN_SIZE,
    esp_grub_cfg,
    kernel_args,
    make_identity,
    make_layout,
    sfdisk_script,
)
from debcore.errors import ConfigError


@pytest.mark.parametrize("size", [MIN_SIZE, 2048 * MIB, 8192 * MIB, 10_001 * MIB])
def test_partitions_are_aligned_and_leave_room_for_both_tables(size: int) -> None:
    layout = make_layout(size)
    assert layout.esp_start == MIB
    assert layout.root_start == layout.esp_start + layout.esp_size
    assert layout.root_start % MIB == 0
    assert layout.root_size % BLOCK == 0
    assert layout.root_start + layout.root_size == size - MIB


@pytest.mark.parametrize(("size", "words"), [(MIN_SIZE - MIB, "too small"), (MIN_SIZE + 1, "whole number of MiB")])
def test_a_size_that_cannot_be_is_refused_with_one_that_can(size: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        make_layout(size)
    assert caught.value.hint


def test_ids_depend_on_the_tree_alone_and_differ_from_each_other() -> None:
    identity = make_identity("a" * 64)
    assert identity == make_identity("a" * 64)
    assert len(set(astuple(identity))) == 6
    assert not set(astuple(identity)) & set(astuple(make_identity("b" * 64)))
    assert re.fullmatch("[0-9a-f]{8}", identity.esp_volume)


def test_ids_never_change_between_releases() -> None:
    assert str(make_identity("tree").root_fs) == "18c849e8-2f69-5323-91e6-33c3fc55829f"


def test_the_table_is_written_in_sectors() -> None:
    layout, identity = make_layout(4096 * MIB), make_identity("tree")
    script = sfdisk_script(layout, identity, "amd64")
    assert f"start=2048, size={512 * 2048}, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b" in script
    assert f"start={513 * 2048}, size={(4096 - 514) * 2048}, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709" in script
    assert f"label-id: {identity.disk}" in script


def test_an_architecture_without_a_boot_loader_is_refused() -> None:
    with pytest.raises(ConfigError, match="riscv64"):
        sfdisk_script(make_layout(MIN_SIZE), make_identity("tree"), "riscv64")


def test_boot_loader_and_kernel_look_for_the_same_file_system() -> None:
    identity = make_identity("tree")
    assert str(identity.root_fs) in esp_grub_cfg(identity)
    assert kernel_args(identity, ("quiet",)) == (f"root=UUID={identity.root_fs}", "rw", "systemd.gpt_auto=0", "quiet")
