"""What the kernel would answer: seccomp programs run on one system call after the other, without a process."""

from __future__ import annotations

import struct

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
KILL_PROCESS = 0x80000000
MAX_INSTRUCTIONS = 4096

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003}


def answer(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """The filter's return value for a call; `arguments` are 64 bits each.

    Source: the kernel's Documentation/networking/filter.rst and include/uapi/linux/{filter,seccomp}.h
    """
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=iIQ6Q", number, architecture, 0, *padded)
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        operation, yes, no, k = code[at]
        at += 1
        match operation:
            case 0x20:  # LD | W | ABS
                (accumulator,) = struct.unpack_from("=I", data, k)
            case 0x54:  # ALU | AND | K
                accumulator &= k
            case 0x05:  # JMP | JA
                at += k
            case 0x15:
                at += yes if accumulator == k else no
            case 0x25:
                at += yes if accumulator > k else no
            case 0x35:
                at += yes if accumulator >= k else no
            case 0x45:
                at += yes if accumulator & k else no
            case 0x06:  # RET | K
                return k
            case _:
                raise ValueError(f"instruction {operation:#x} at {at - 1}")
