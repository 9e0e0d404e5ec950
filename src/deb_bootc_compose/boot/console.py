"""A console on an image: its serial line on this terminal, ssh on a port of 127.0.0.1 with a key made for this run."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.boot.credentials import merge_credentials
from deb_bootc_compose.boot.override import NOTHING, OVERLAY, Override
from deb_bootc_compose.boot.qemu import Machine, console_credentials, qemu_argv
from deb_bootc_compose.boot.run import MACHINE, VARS, open_parts
from debroot.sandbox import Sandbox, run_in, start_in
from debroot.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Console:
    """How to get in. The key dies with the machine, and so does its host key: nothing is remembered."""

    port: int
    key: Path  #: private, 0600

    @property
    def ssh(self) -> tuple[str, ...]:
        """The command that opens a shell as root."""
        return ssh_argv(str(self.key), self.port)


#: Where the sandbox has the private key: in the machine's throw-away directory.
KEY = f"{MACHINE}/key"


def ssh_argv(key: str, port: int) -> tuple[str, ...]:
    return (
        "ssh", "-i", key, "-p", str(port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR", "root@127.0.0.1",
    )  # fmt: skip


def make_key(sandbox: Sandbox) -> tuple[str, bytes]:
    """A new key: its public half, one line of authorized_keys, and the private one, which is KEY in the sandbox too."""
    make = f'ssh-keygen -q -t ed25519 -N "" -C throw-away -f {KEY}; cat {KEY}.pub {KEY}'
    public, _, private = run_in(sandbox, ["sh", "-euc", make], capture=True).stdout.partition(b"\n")
    return public.decode(), private


def open_console(
    store: Store,
    image: Path,
    *,
    ready: Callable[[Console], None],
    port: int = 0,
    secure_boot: bool = True,
    memory: int = 2048,
    cpus: int = 2,
    tty: bool = True,
    arch: str = "amd64",
    override: Override = NOTHING,
) -> int:
    """Boot *image* on this terminal until the guest powers off or Ctrl-A x; returns QEMU's exit status.

    *ready* is called just before power-on, with the way in by ssh. *port* 0: any free one. *tty* False: the serial
    line is read from /dev/null and printed to standard output. The image is never written to.
    """
    with ExitStack() as stack:
        parts = stack.enter_context(
            open_parts(store, image, secure_boot=secure_boot, network=True, tty=tty, arch=arch, binds=override.binds())
        )
        public, private = make_key(parts.sandbox)
        key = parts.host_dir / "key"
        key.touch(mode=0o600)
        key.write_bytes(private)
        console = Console(port or find_free_port(), key)
        machine = Machine(
            disk=parts.disk, disk_format=parts.disk_format, arch=arch, firmware_vars=VARS, interactive=tty,
            ssh_port=console.port, restrict_network=False, secure_boot=secure_boot, memory=memory, cpus=cpus,
            credentials=merge_credentials(console_credentials(public), override.credentials),
            kernel=override.boots, overlay=OVERLAY if override.disk else None,
        )  # fmt: skip
        ready(console)
        running = stack.enter_context(start_in(parts.sandbox, qemu_argv(machine)))
        return running.wait()


def find_free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
