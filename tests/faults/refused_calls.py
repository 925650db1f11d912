"""System calls that the kernel refuses to this process from now on, as a file system would that does not have them."""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Mapping

__all__ = ["CALLS", "can_refuse", "refuse"]

# Name -> (numbers of the system calls, whether only calls with flags are meant: a rename that replaces nothing).
CALLS: Mapping[str, Mapping[str, tuple[tuple[int, ...], bool]]] = {
    "x86_64": {"link": ((86, 265), False), "rename without replacing": ((316,), True)},
    "aarch64": {"link": ((37,), False), "rename without replacing": ((276,), True)},
}
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN, _ALLOW, _ERROR = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
_NUMBER, _FIFTH_ARGUMENT = 0, 16 + 4 * 8


def can_refuse() -> bool:
    return platform.system() == "Linux" and platform.machine() in CALLS


def refuse(answers: Mapping[str, int]) -> None:
    """Let each of the named calls fail with an error number, in this process and those that it starts; for good."""
    program = b""
    for name, number in answers.items():
        calls, only_with_flags = CALLS[platform.machine()][name]
        for call in calls:
            program += _step(_LOAD, 0, 0, _NUMBER)
            if only_with_flags:
                program += _step(_EQUAL, 0, 3, call) + _step(_LOAD, 0, 0, _FIFTH_ARGUMENT) + _step(_EQUAL, 1, 0, 0)
            else:
                program += _step(_EQUAL, 0, 1, call)
            program += _step(_RETURN, 0, 0, _ERROR | number)
    program += _step(_RETURN, 0, 0, _ALLOW)
    steps = ctypes.create_string_buffer(program, len(program))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps)))
    library = ctypes.CDLL(None, use_errno=True)
    for words in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SECCOMP, _FILTER, ctypes.addressof(described), 0, 0)):
        if library.prctl(words[0], *map(ctypes.c_ulong, words[1:])):
            raise OSError(ctypes.get_errno(), "the filter of system calls was not accepted")


def _step(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
