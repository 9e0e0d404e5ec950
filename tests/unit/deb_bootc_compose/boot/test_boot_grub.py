"""The menu that the generator writes from OSTree's entries, by running it as libostree does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import deb_bootc_compose.boot.grub as grub
from deb_bootc_compose.boot.grow import GROW, grows
from debcore.command import Completed, run
from debcore.errors import ConfigError

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


def make_system(root: Path, *commits: str, healthy: bool = True) -> Path:
    """/boot and /ostree as libostree has them when it calls the generator, the newest of *commits* first."""
    loader = root / "boot/loader.1"
    loader.mkdir(parents=True)
    (root / "boot/grub").mkdir()
    links = root / "ostree/boot.1.1/debian/csum"
    links.mkdir(parents=True)
    (root / "ostree/boot.1").symlink_to("boot.1.1")
    for number, commit in enumerate(commits):
        deployment = root / f"ostree/deploy/debian/deploy/{commit}.0"
        (deployment / "usr/libexec/deb-bootc").mkdir(parents=True)
        if healthy:
            (deployment / "usr/libexec/deb-bootc/boot-trial").touch()
        (links / str(number)).symlink_to(f"../../../deploy/debian/deploy/{commit}.0")
        options = f"options root=UUID=1 rw ostree=/ostree/boot.1/debian/csum/{number}"
        write_entry(loader, len(commits) - number, f"title {commit}", "linux /boot/vmlinuz", options)
    return loader


def test_a_system_that_has_one_before_it_is_put_on_trial(tmp_path: Path) -> None:
    loader = make_system(tmp_path, "new", "old")
    assert generate(loader).status == 0
    menu = (loader / "grub.cfg").read_text()
    (token,) = set(re.findall(r"deb-bootc\.trial=([0-9a-f]{16})", menu))
    assert f"set deb_bootc_entry={token}" in menu
    first, second = re.findall(r"^menuentry .*?^}", menu, re.MULTILINE | re.DOTALL)
    assert "save_env deb_bootc_entry deb_bootc_left" in first
    assert first.splitlines()[-2].endswith("ostree=/ostree/boot.1/debian/csum/0 $deb_bootc_trial")
    assert "deb_bootc" not in second, "what is fallen back to is never on trial"
    block = (tmp_path / "boot/grub/grubenv").read_bytes()
    assert len(block) == 1024
    assert block.startswith(b"# GRUB Environment Block\n#")
    (tmp_path / "boot/grub/grubenv").write_bytes(b"kept")
    assert generate(loader).status == 0
    assert (loader / "grub.cfg").read_text() == menu, "the same entries are the same trial"
    assert (tmp_path / "boot/grub/grubenv").read_bytes() == b"kept"


@pytest.mark.parametrize(("commits", "healthy"), [(("new",), True), (("new", "old"), False)])
def test_no_trial_without_a_system_to_fall_back_to_or_one_that_can_end_it(
    tmp_path: Path, commits: tuple[str, ...], healthy: bool
) -> None:
    loader = make_system(tmp_path, *commits, healthy=healthy)
    assert generate(loader).status == 0
    assert "trial" not in (loader / "grub.cfg").read_text().partition("menuentry")[2]


def end_trial(tmp_path: Path, block: bytes | None, cmdline: str) -> Completed:
    (tmp_path / "cmdline").write_text(cmdline)
    if block is not None:
        (tmp_path / "grubenv").write_bytes(block)
    script = Path(grub.__file__).with_name("boot-trial")
    return run(["sh", script, tmp_path / "grubenv", tmp_path / "cmdline"], check=False)


def test_a_trial_that_ended_well_is_written_in_place(tmp_path: Path) -> None:
    head = b"# GRUB Environment Block\n"
    before = (head + b"saved_entry=x y\ndeb_bootc_entry=00\ndeb_bootc_left=2\n").ljust(1024, b"#")
    (tmp_path / "grubenv").write_bytes(before)
    inode = (tmp_path / "grubenv").stat().st_ino
    assert end_trial(tmp_path, None, "rw deb-bootc.trial=00ff panic=10\n").status == 0
    after = (tmp_path / "grubenv").read_bytes()
    assert (tmp_path / "grubenv").stat().st_ino == inode
    assert after == (head + b"saved_entry=x y\ndeb_bootc_entry=00ff\ndeb_bootc_left=good\n").ljust(1024, b"#")


@pytest.mark.parametrize("cmdline", ["rw quiet\n", "rw deb-bootc.trial=../x\n", "xdeb-bootc.trial=00\n"])
def test_a_system_that_is_not_on_trial_writes_nothing(tmp_path: Path, cmdline: str) -> None:
    block = b"# GRUB Environment Block\n".ljust(1024, b"#")
    assert end_trial(tmp_path, block, cmdline).status == 0
    assert (tmp_path / "grubenv").read_bytes() == block


def test_a_trial_without_a_block_fails(tmp_path: Path) -> None:
    assert end_trial(tmp_path, None, "deb-bootc.trial=00\n").status == 1


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


def test_an_image_grows_unless_it_shall_not() -> None:
    assert GROW in grub.image_files()
    assert not [path for path in grub.image_files(grow=False) if "grow" in path or "repart" in path]
    assert grub.files_digest(grow=False) != grub.files_digest()
    assert grows(None, ()), "a package that comes later finds its unit"
    assert grows(True, ("systemd-repart",))
    assert not grows(False, ("systemd-repart",))
    with pytest.raises(ConfigError, match="without systemd-repart does not grow"):
        grows(True, ("systemd",))
