"""A place of its own for the benchmark: namespaces for mounts and processes in which everything that it makes lives.

When the process that has entered it ends, whatever the reason, the kernel ends all processes in it and takes the mounts,
and so the network namespaces, away. Nothing of the machine is touched: /run in there is an empty tmpfs.
"""

import ctypes
import os
import signal
import sys
import traceback

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_BIND = 0x1000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """This machine does not let us have such a place."""


def _check(rc, what):
    if rc != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _mount(source, target, kind, flags):
    _check(_libc.mount(source, target, kind, ctypes.c_ulong(flags), None), f"mount on {target.decode()}")


def bind(source, target):
    """Makes |source| visible as |target|, a file."""
    with open(target, "x", encoding="ascii"):
        pass
    _mount(source.encode(), target.encode(), None, MS_BIND)


def unbind(target):
    """Undoes bind()."""
    _check(_libc.umount2(target.encode(), 2), f"umount {target}")
    os.unlink(target)


def _enter():
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    _mount(b"none", b"/", None, MS_REC | MS_PRIVATE)
    _mount(b"proc", b"/proc", b"proc", 0)
    _mount(b"tmpfs", b"/run", b"tmpfs", 0)


def run(main):
    """Calls |main| inside such a place; returns what it returns, an exit code. Raises Refused."""
    try:
        _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare")
    except OSError as e:
        raise Refused(e) from e
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's word counts
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _enter()
            code = main()
        except BaseException:  # pylint: disable=broad-exception-caught
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    try:
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        _, status = os.waitpid(child, 0)
        child = 0
        return os.waitstatus_to_exitcode(status)
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
