"""A booted image by ssh: one command or a shell, as soon as the system lets in; the machine ends with it."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from deb_bootc_compose.boot.console import KEY, find_free_port, make_key, ssh_argv
from deb_bootc_compose.boot.credentials import merge_credentials
from deb_bootc_compose.boot.override import NOTHING, OVERLAY, Override
from deb_bootc_compose.boot.qemu import Machine, console_credentials, qemu_argv
from deb_bootc_compose.boot.run import POLL, VARS, last_lines, open_parts
from debcore.errors import BuildFailed, LimitHit
from debroot.sandbox import Running, start_in
from debroot.store import Store

log = logging.getLogger(__name__)

#: Seconds in which one attempt must be answered.
ATTEMPT = 5.0


def run_shell(
    store: Store,
    image: Path,
    *,
    command: Sequence[str],
    console_log: Path,
    ready: Callable[[float], None],
    timeout: float = 600.0,
    port: int = 0,
    secure_boot: bool = True,
    memory: int = 2048,
    cpus: int = 2,
    arch: str = "amd64",
    override: Override = NOTHING,
) -> int:
    """Boot *image*, run *command* there as root (none: a shell on this terminal), end the machine; ssh's exit status.

    As with ssh, the words of *command* are joined and read by a shell. *ready* is called with the seconds from power-on
    when sshd has answered. *timeout*: seconds for that. *console_log* gets everything the machine prints. The key is
    made for this run, and travels as a credential; the image is never written to.
    Errors: LimitHit if nothing answers in time, BuildFailed if the machine stops before it: both quote the console.
    """
    with ExitStack() as stack:
        parts = stack.enter_context(
            open_parts(store, image, secure_boot=secure_boot, network=True, arch=arch, binds=override.binds())
        )
        public, _ = make_key(parts.sandbox)
        port = port or find_free_port()
        machine = Machine(
            disk=parts.disk, disk_format=parts.disk_format, arch=arch, firmware_vars=VARS, ssh_port=port,
            restrict_network=False, secure_boot=secure_boot, memory=memory, cpus=cpus,
            credentials=merge_credentials(console_credentials(public), override.credentials),
            kernel=override.boots, overlay=OVERLAY if override.disk else None,
        )  # fmt: skip
        console = stack.enter_context(console_log.open("wb"))
        started = time.monotonic()
        running = stack.enter_context(start_in(parts.sandbox, qemu_argv(machine), stdout=console, stderr=console))
        await_ssh(running, port, started + timeout, console_log)
        ready(time.monotonic() - started)
        terminal = not command and sys.stdin.isatty()
        words = ["-t" if terminal else "-T", *(["--", *command] if command else [])]
        box = replace(parts.sandbox, tty=terminal)
        client = stack.enter_context(start_in(box, [*ssh_argv(KEY, port), *words], stdin=None if terminal else 0))
        return client.wait()


def await_ssh(running: Running, port: int, deadline: float, console_log: Path) -> None:
    """Return when sshd answers. *deadline* is of time.monotonic(). Errors: LimitHit, BuildFailed."""
    while not answers(port):
        hint = f"the console's log is {console_log}"
        if running.poll() is not None:
            raise BuildFailed(f"the machine stopped before ssh answered{last_lines(console_log)}", hint=hint)
        if time.monotonic() > deadline:
            raise LimitHit(
                f"nothing answered by ssh in time{last_lines(console_log)}",
                hint=f"has the image openssh-server and systemd-networkd? {hint}",
            )
        time.sleep(POLL)


def answers(port: int) -> bool:
    """Whether an ssh server speaks on *port* of 127.0.0.1: QEMU takes connections long before the guest does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=ATTEMPT) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
