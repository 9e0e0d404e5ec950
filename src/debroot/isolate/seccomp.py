"""Seccomp filters as BPF, written by ourselves: a deny-list (EPERM), and syncs that succeed at once.

Not a list of what is allowed: a build may do anything that a build does, nested user namespaces, personality and
ptrace of its own children included. Denied are calls whose only use here is an attack on the kernel.
Source: seccomp(2), linux/bpf_common.h, the kernel's system call tables.
"""

from __future__ import annotations

import os
import struct

EPERM = 1
ENOSYS = 38
ALLOW = 0x7FFF0000
ERRNO = 0x00050000
X32_BIT = 0x40000000
TIOCSTI = 0x5412  # types into the caller's terminal
TIOCLINUX = 0x541C

LOAD, JUMP, EQUAL, AT_LEAST, RETURN = 0x20, 0x05, 0x15, 0x35, 0x06
OFFSET_NUMBER, OFFSET_ARCH, OFFSET_ARGUMENT_1 = 0, 4, 24

#: AUDIT_ARCH_*: values of seccomp_data.arch.
ARCH = {
    "x86_64": 0xC000003E,
    "i386": 0x40000003,
    "aarch64": 0xC00000B7,
    "arm": 0x40000028,
    "riscv64": 0xC00000F3,
}

#: Architectures whose calls a kernel of this machine takes, by uname -m.
MACHINES = {
    "x86_64": ("x86_64", "i386"),
    "i686": ("i386",),
    "aarch64": ("aarch64", "arm"),
    "armv7l": ("arm",),
    "riscv64": ("riscv64",),
}

SYNC = ("fsync", "fdatasync", "msync", "sync", "syncfs", "sync_file_range")
DENY = (
    "acct",
    "add_key",
    "bpf",
    "clock_settime",
    "delete_module",
    "finit_module",
    "init_module",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "nfsservctl",
    "open_by_handle_at",
    "perf_event_open",
    "quotactl",
    "reboot",
    "request_key",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "userfaultfd",
)
#: Also denied when hardened: a large attack surface that programs do without.
DENY_HARDENED = ("io_uring_setup", "io_uring_enter", "io_uring_register")

_NEW = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}


def _table(text: str) -> dict[str, int]:
    words = text.split()
    return {**_NEW, **{name: int(number) for name, number in zip(words[::2], words[1::2], strict=True)}}


_GENERIC = _table(
    "ioctl 29 fsync 82 fdatasync 83 msync 227 sync 81 syncfs 267 sync_file_range 84 acct 89 add_key 217 bpf 280 "
    "clock_settime 112 delete_module 106 finit_module 273 init_module 105 kexec_file_load 294 kexec_load 104 "
    "keyctl 219 lookup_dcookie 18 nfsservctl 42 open_by_handle_at 265 perf_event_open 241 quotactl 60 reboot 142 "
    "request_key 218 settimeofday 170 swapoff 225 swapon 224 syslog 116 userfaultfd 282"
)

#: Numbers by architecture; a name that is missing does not exist there.
NUMBERS = {
    "x86_64": _table(
        "ioctl 16 fsync 74 fdatasync 75 msync 26 sync 162 syncfs 306 sync_file_range 277 acct 163 add_key 248 bpf 321 "
        "clock_settime 227 delete_module 176 finit_module 313 init_module 175 ioperm 173 iopl 172 kexec_file_load 320 "
        "kexec_load 246 keyctl 250 lookup_dcookie 212 nfsservctl 180 open_by_handle_at 304 perf_event_open 298 "
        "quotactl 179 reboot 169 request_key 249 settimeofday 164 swapoff 168 swapon 167 syslog 103 userfaultfd 323"
    ),
    "i386": _table(
        "ioctl 54 fsync 118 fdatasync 148 msync 144 sync 36 syncfs 344 sync_file_range 314 acct 51 add_key 286 bpf 357 "
        "clock_settime 264 delete_module 129 finit_module 350 init_module 128 ioperm 101 iopl 110 kexec_load 283 "
        "keyctl 288 lookup_dcookie 253 nfsservctl 169 open_by_handle_at 342 perf_event_open 336 quotactl 131 reboot 88 "
        "request_key 287 settimeofday 79 swapoff 115 swapon 87 syslog 103 userfaultfd 374"
    ),
    "arm": _table(
        "ioctl 54 fsync 118 fdatasync 148 msync 144 sync 36 syncfs 373 sync_file_range 341 acct 51 add_key 309 bpf 386 "
        "clock_settime 262 delete_module 129 finit_module 379 init_module 128 kexec_load 347 keyctl 311 "
        "lookup_dcookie 249 nfsservctl 169 open_by_handle_at 371 perf_event_open 364 quotactl 131 reboot 88 "
        "request_key 310 settimeofday 79 swapoff 115 swapon 87 syslog 103 userfaultfd 388"
    ),
    "aarch64": _GENERIC,
    "riscv64": _GENERIC,
}


def make_filter(actions: dict[str, int], *, machine: str = "", terminal: bool = False) -> bytes | None:
    """The program: each call named in *actions* answers with that errno (0: success, nothing done).

    *terminal* also denies the ioctls that type into a terminal. None if we have no numbers for *machine*.
    """
    arches = MACHINES.get(machine or os.uname().machine)
    if arches is None:
        return None
    code = [_op(LOAD, OFFSET_ARCH)]
    for arch in arches:
        block = _block(arch, actions, terminal=terminal)
        code += [_op(EQUAL, ARCH[arch], 1, 0), _op(JUMP, len(block)), *block]
    return b"".join([*code, _op(RETURN, ALLOW)])


def make_filters(*, hardened: bool, suppress_sync: bool, machine: str = "") -> list[bytes]:
    """The programs for one sandbox, to be installed in this order."""
    denied = DENY + (DENY_HARDENED if hardened else ())
    wanted: list[tuple[dict[str, int], bool]] = [(dict.fromkeys(denied, EPERM), True)]
    if suppress_sync:
        wanted.append((dict.fromkeys(SYNC, 0), False))
    made = [make_filter(actions, machine=machine, terminal=terminal) for actions, terminal in wanted]
    return [program for program in made if program is not None]


def _block(arch: str, actions: dict[str, int], *, terminal: bool) -> list[bytes]:
    """Instructions for one architecture; each path through them returns."""
    numbers = NUMBERS[arch]
    code = [_op(LOAD, OFFSET_NUMBER)]
    if arch == "x86_64":
        code += [_op(AT_LEAST, X32_BIT, 0, 1), _op(RETURN, ERRNO | ENOSYS)]
    for name, errno in actions.items():
        if name in numbers:
            code += [_op(EQUAL, numbers[name], 0, 1), _op(RETURN, ERRNO | errno)]
    if terminal:
        requests = [_op(LOAD, OFFSET_ARGUMENT_1)]
        for request in (TIOCSTI, TIOCLINUX):
            requests += [_op(EQUAL, request, 0, 1), _op(RETURN, ERRNO | EPERM)]
        code += [_op(EQUAL, numbers["ioctl"], 0, len(requests)), *requests]
    return [*code, _op(RETURN, ALLOW)]


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
