"""/etc/machine-id is empty or `uninitialized`; with the latter nothing waits at a prompt or starts unasked (S7, S8)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files

FIRST_BOOT = "usr/lib/systemd/system/systemd-firstboot.service"


def check(root: Root) -> Iterator[str]:
    text = root.read("etc/machine-id")
    if text is None:
        yield "there is no /etc/machine-id"
    elif text.strip() == "uninitialized":
        yield from _check_first_boot(root)
    elif text:
        yield "/etc/machine-id has an id: all machines would share it"


def _check_first_boot(root: Root) -> Iterator[str]:
    presets = files.read_drop_ins(
        root.path, "etc/systemd/system-preset", "usr/lib/systemd/system-preset", suffix=".preset"
    )
    if not any(line.split() == ["disable", "*"] for _, text in presets for line in text.splitlines()):
        yield "no preset says `disable *`: the first boot would enable every unit"
    unit = root.read(FIRST_BOOT)
    drop_ins = "".join(text for _, text in files.read_drop_ins(root.path, f"{FIRST_BOOT}.d"))
    if unit is not None and "--prompt" in unit and "ExecStart=\n" not in drop_ins:
        yield "systemd-firstboot.service would ask at the console"


LINT = Lint("machine-id", "fatal", "debian", "the image has no machine id and a quiet first boot", check)
