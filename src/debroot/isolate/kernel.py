"""System calls that Python 3.11 lacks: thin, without policy. Every function raises OSError with the errno."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2

# The numbers of these newer system calls are the same on every architecture of Linux but Alpha.
SYS_OPEN_TREE = 428
SYS_MOVE_MOUNT = 429
SYS_MOUNT_SETATTR = 442

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_RDONLY = 1

PER_LINUX32 = 8

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

CAP_LAST = 63

# Numbers of signals that are the same on every architecture of Debian but MIPS; `signal` would import enum and more.
SIGINT, SIGQUIT, SIGKILL, SIGPIPE, SIGTERM, SIGCHLD, SIGXFSZ = 2, 3, 9, 13, 15, 17, 25
SIG_DFL, SIG_IGN = 0, 1
SIG_BLOCK, SIG_SETMASK = 0, 2
SFD_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    _check(libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, fstype: str, flags: int = 0, data: str = "") -> None:
    words = (source.encode(), os.fsencode(target), fstype.encode())
    _check(libc.mount(*words, ctypes.c_ulong(flags), data.encode()), f"mount {fstype} on {target}")


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    _check(libc.umount2(os.fsencode(target), ctypes.c_int(flags)), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    _check(libc.pivot_root(os.fsencode(new), os.fsencode(old)), "pivot_root")


def open_tree(path: str, *, recursive: bool = True) -> int:
    """A detached copy of what is mounted at *path*: a descriptor that nothing sees until move_mount."""
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | (AT_RECURSIVE if recursive else 0)
    call = libc.syscall(ctypes.c_long(SYS_OPEN_TREE), ctypes.c_int(AT_FDCWD), os.fsencode(path), ctypes.c_uint(flags))
    return _check(call, f"open_tree {path}")


def move_mount(fd: int, target: str) -> None:
    """Attach what open_tree gave at *target*."""
    number = ctypes.c_long(SYS_MOVE_MOUNT)
    to = (ctypes.c_int(AT_FDCWD), os.fsencode(target), ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH))
    _check(libc.syscall(number, ctypes.c_int(fd), b"", *to), f"move_mount on {target}")


def make_readonly(fd: int) -> None:
    """The detached tree *fd*, with all below it. Kernel 5.12."""
    _set_attributes(fd, struct.pack("=QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0))


def make_private(fd: int) -> None:
    """The detached tree *fd*, with all below it, neither sends mounts to what it was copied from nor receives any."""
    _set_attributes(fd, struct.pack("=QQQQ", 0, 0, MS_PRIVATE, 0))


def _set_attributes(fd: int, attributes: bytes) -> None:
    """*attributes*: struct mount_attr (set, clear, propagation, user namespace)."""
    number = ctypes.c_long(SYS_MOUNT_SETATTR)
    flags = ctypes.c_uint(AT_EMPTY_PATH | AT_RECURSIVE)
    size = ctypes.c_size_t(len(attributes))
    _check(libc.syscall(number, ctypes.c_int(fd), b"", flags, attributes, size), "mount_setattr")


def prctl(option: int, argument: int = 0) -> None:
    words = [ctypes.c_ulong(word) for word in (argument, 0, 0, 0)]
    _check(libc.prctl(ctypes.c_int(option), *words), f"prctl {option}")


def set_personality(persona: int) -> None:
    """personality(2): what uname(2) says, among other things."""
    _check(libc.personality(ctypes.c_ulong(persona)), "personality")


def set_hostname(name: str) -> None:
    raw = name.encode()
    _check(libc.sethostname(raw, ctypes.c_size_t(len(raw))), "sethostname")


def set_domainname(name: str) -> None:
    raw = name.encode()
    _check(libc.setdomainname(raw, ctypes.c_size_t(len(raw))), "setdomainname")


def set_capabilities(mask: int) -> None:
    """Effective and permitted become *mask*, inheritable and ambient nothing. Source: capset(2), version 3."""
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("=Ii", 0x20080522, 0)
    data = struct.pack("=IIIIII", low, low, 0, high, high, 0)
    _check(libc.capset(header, data), "capset")


def drop_bounding(keep: int) -> None:
    """Drop every capability that is not in the mask *keep* from the bounding set, for good."""
    for capability in range(CAP_LAST + 1):
        if not keep >> capability & 1:
            try:
                prctl(PR_CAPBSET_DROP, capability)
            except OSError:
                return  # EINVAL: the kernel knows no higher one


def install_filter(program: bytes) -> None:
    """A seccomp filter (array of struct sock_filter) for this process and all that it starts."""
    buffer = ctypes.create_string_buffer(program, len(program))
    count = len(program) // 8
    pointer = ctypes.addressof(buffer)
    header = ctypes.create_string_buffer(struct.pack("@HP", count, pointer))
    words = (ctypes.c_ulong(SECCOMP_MODE_FILTER), header, ctypes.c_ulong(0), ctypes.c_ulong(0))
    _check(libc.prctl(ctypes.c_int(PR_SET_SECCOMP), *words), "seccomp")


def set_signal(number: int, disposition: int) -> None:
    """SIG_DFL or SIG_IGN."""
    libc.signal(ctypes.c_int(number), ctypes.c_void_p(disposition))


def open_child_signals() -> int:
    """Block SIGCHLD and return a descriptor that is readable when one is due. Source: signalfd(2)."""
    mask = ctypes.create_string_buffer(128)
    libc.sigemptyset(mask)
    libc.sigaddset(mask, ctypes.c_int(SIGCHLD))
    _check(libc.sigprocmask(ctypes.c_int(SIG_BLOCK), mask, None), "sigprocmask")
    return _check(libc.signalfd(ctypes.c_int(-1), mask, ctypes.c_int(SFD_FLAGS)), "signalfd")


def unblock_signals() -> None:
    mask = ctypes.create_string_buffer(128)
    libc.sigemptyset(mask)
    _check(libc.sigprocmask(ctypes.c_int(SIG_SETMASK), mask, None), "sigprocmask")


def open_door(channel: int, address: str, port: int) -> None:
    """Listen on the loopback of this network namespace, and hand the listener to the caller, who answers outside."""
    import socket  # only sandboxes with apt-only network pay for it

    with socket.socket() as listener, socket.socket(fileno=channel) as socket_of_caller:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
        socket.send_fds(socket_of_caller, [b"."], [listener.fileno()])


def raise_loopback() -> None:
    """Bring `lo` up in the network namespace of this process."""
    fd = _check(libc.socket(2, 2 | os.O_CLOEXEC, 0), "socket")  # AF_INET, SOCK_DGRAM
    try:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("16xH", fcntl.ioctl(fd, SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(fd, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
    finally:
        os.close(fd)
