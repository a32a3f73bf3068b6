"""A program for which a system call fails: python3 refuse.py ERROR CALL PROGRAM ARGUMENT..., for machines that are
out of what the call asks for."""

import ctypes
import errno
import os
import platform
import struct
import sys

# By architecture, as the kernel numbers them.
CALLS = {"x86_64": {"inotify_init1": 294, "inotify_add_watch": 254},
         "aarch64": {"inotify_init1": 26, "inotify_add_watch": 27}}
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD_NUMBER, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
REFUSED, ALLOWED = 0x00050000, 0x7FFF0000


def refused(error, call):
    """The beginning of a command line in which |call| fails with |error| ("EMFILE")."""
    return (sys.executable, os.path.abspath(__file__), error, call)


def main():
    error, call, *program = sys.argv[1:]
    number = CALLS[platform.machine()][call]
    steps = [(LOAD_NUMBER, 0, 0, 0), (JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSED | getattr(errno, error)),
             (RETURN, 0, 0, ALLOWED)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    bpf = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(bpf)), 0, 0) != 0:
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
