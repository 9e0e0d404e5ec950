"""The menu that the generator writes from OSTree's entries, by running it as libostree does."""

from __future__ import annotations

from pathlib import Path

import pytest

import deb_bootc_compose.boot.grub as grub
from debcore.command import Completed, run

GENERATOR = Path(grub.__file__).with_name("grub-generator")


def write_entry(loader: Path, number: int, *lines: str) -> None:
    entries = loader / "entries"
    entries.mkdir(exist_ok=True)
    (entries / f"ostree-{number}.conf").write_text("".join(line + "\n" for line in lines))


def generate(loader: Path) -> Completed:
    return run(["sh", GENERATOR, "-o", loader / "grub.cfg"], check=False)


def test_the_newest_entry_is_first_and_ten_is_newer_than_nine(tmp_path: Path) -> None:
    for number in (1, 10, 9):
        write_entry(tmp_path, number, f"title t{number}", "linux /boot/vmlinuz", "initrd /boot/initrd", "options rw")
    assert generate(tmp_path).status == 0
    menu = (tmp_path / "grub.cfg").read_text()
    assert [line.split()[1] for line in menu.splitlines() if line.startswith("menuentry")] == ["'t10'", "'t9'", "'t1'"]
    assert "\tlinux /boot/vmlinuz rw\n\tinitrd /boot/initrd\n}" in menu
    assert not (tmp_path / "grub.cfg.new").exists()


def test_nothing_in_an_entry_can_leave_its_word(tmp_path: Path) -> None:
    write_entry(
        tmp_path, 1, "title it's; $(reboot)", "linux /boot/vmlinuz",
        """options init="a b" x=$root;reboot y='q' z={}&|<> w=a\\b""",
    )  # fmt: skip
    assert generate(tmp_path).status == 0
    menu = (tmp_path / "grub.cfg").read_text()
    assert r"menuentry 'it'\''s; $(reboot)'" in menu
    assert r"""linux /boot/vmlinuz init="a b" x=\$root\;reboot y=\'q\' z=\{\}\&\|\<\> w=a\\b""" in menu


def test_a_loader_without_entries_keeps_the_old_menu(tmp_path: Path) -> None:
    (tmp_path / "grub.cfg").write_text("old\n")
    done = generate(tmp_path)
    assert done.status == 1
    assert b"has no entries" in done.stderr
    assert (tmp_path / "grub.cfg").read_text() == "old\n"


def test_update_grub_writes_through_the_link(tmp_path: Path) -> None:
    loader, directory = tmp_path / "loader.1", tmp_path / "grub"
    loader.mkdir()
    directory.mkdir()
    (tmp_path / "loader").symlink_to("loader.1")
    (directory / "grub.cfg").symlink_to("../loader/grub.cfg")
    write_entry(loader, 1, "title one", "linux /boot/vmlinuz")
    assert run(["sh", GENERATOR, "-o", directory / "grub.cfg"]).status == 0
    assert (directory / "grub.cfg").is_symlink()
    assert "'one'" in (loader / "grub.cfg").read_text()


def test_an_entry_without_a_kernel_keeps_the_old_menu(tmp_path: Path) -> None:
    (tmp_path / "grub.cfg").write_text("old\n")
    write_entry(tmp_path, 1, "title broken")
    done = generate(tmp_path)
    assert done.status == 1
    assert b"names no kernel" in done.stderr
    assert (tmp_path / "grub.cfg").read_text() == "old\n"


@pytest.mark.parametrize("arguments", [[], ["-o"], ["--output="], ["-o", "x", "more"]])
def test_other_uses_are_refused(arguments: list[str]) -> None:
    assert run(["sh", GENERATOR, *arguments], check=False).status == 2


def test_an_image_gets_the_generator_and_everything_that_calls_it() -> None:
    files = grub.image_files()
    assert files[grub.GENERATOR] == (0o755, GENERATOR.read_bytes())
    assert f"OSTREE_GRUB2_EXEC={grub.GENERATOR}".encode() in files[grub.DROP_IN][1]
    assert grub.GENERATOR.encode() in files[grub.GRUB_MKCONFIG][1]
    assert grub.GRUB_MKCONFIG not in grub.image_files(grub_mkconfig=False)
    assert all(path.startswith("/usr/") for path in files)
    assert grub.files_digest() == grub.files_digest()
