"""The filters, run by a small BPF machine as the kernel would run them."""

from __future__ import annotations

import struct

import pytest

from debroot.isolate import seccomp
from debroot.isolate.seccomp import ALLOW, ARCH, EPERM, ERRNO, NUMBERS, make_filter, make_filters


def run_bpf(program: bytes, *, arch: str, number: int, argument: int = 0) -> int:
    """The answer to one system call. Only the instructions that seccomp allows and we use."""
    data = struct.pack("<iIQ6Q", number, ARCH[arch], 0, 0, argument, 0, 0, 0, 0)
    code: list[tuple[int, int, int, int]] = [
        struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)
    ]
    accumulator: int = 0
    position = 0
    while True:
        operation, if_true, if_false, value = code[position]
        position += 1
        match operation:
            case seccomp.LOAD:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case seccomp.JUMP:
                position += value
            case seccomp.EQUAL:
                position += if_true if accumulator == value else if_false
            case seccomp.AT_LEAST:
                position += if_true if accumulator >= value else if_false
            case seccomp.RETURN:
                return value
            case _:
                raise AssertionError(operation)


@pytest.mark.parametrize("machine", sorted(seccomp.MACHINES))
def test_each_named_call_and_no_other_gets_its_answer(machine: str) -> None:
    program = make_filter(dict.fromkeys(seccomp.DENY, EPERM), machine=machine)
    assert program is not None
    for arch in seccomp.MACHINES[machine]:
        denied = {NUMBERS[arch][name] for name in seccomp.DENY if name in NUMBERS[arch]}
        for number in range(460):
            expected = ERRNO | EPERM if number in denied else ALLOW
            assert run_bpf(program, arch=arch, number=number) == expected, (arch, number)


def test_x32_calls_do_not_lead_around_it() -> None:
    program = make_filter({"bpf": EPERM}, machine="x86_64")
    assert program is not None
    assert run_bpf(program, arch="x86_64", number=seccomp.X32_BIT | 321) == ERRNO | seccomp.ENOSYS


def test_nothing_types_into_the_terminal() -> None:
    program = make_filter({}, machine="x86_64", terminal=True)
    assert program is not None
    ioctl = NUMBERS["x86_64"]["ioctl"]
    assert run_bpf(program, arch="x86_64", number=ioctl, argument=seccomp.TIOCSTI) == ERRNO | EPERM
    assert run_bpf(program, arch="x86_64", number=ioctl, argument=0x5401) == ALLOW
    assert run_bpf(program, arch="x86_64", number=1, argument=seccomp.TIOCSTI) == ALLOW


def test_suppressed_syncs_succeed() -> None:
    deny, sync = make_filters(hardened=False, suppress_sync=True, machine="x86_64")
    assert run_bpf(sync, arch="x86_64", number=74) == ERRNO
    assert run_bpf(sync, arch="i386", number=118) == ERRNO
    assert run_bpf(deny, arch="x86_64", number=74) == ALLOW


def test_io_uring_is_denied_only_when_hardened() -> None:
    (plain,) = make_filters(hardened=False, suppress_sync=False, machine="x86_64")
    (hard,) = make_filters(hardened=True, suppress_sync=False, machine="x86_64")
    assert run_bpf(plain, arch="x86_64", number=425) == ALLOW
    assert run_bpf(hard, arch="x86_64", number=425) == ERRNO | EPERM


def test_an_unknown_machine_gets_no_filter() -> None:
    assert make_filters(hardened=True, suppress_sync=True, machine="vax") == []


@pytest.mark.parametrize("arch", sorted(NUMBERS))
def test_numbers_are_unique(arch: str) -> None:
    assert len(set(NUMBERS[arch].values())) == len(NUMBERS[arch])
