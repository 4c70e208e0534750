"""Run as a script: begin a process of the proof on its host, as its user, and end it with the harness.

    python -I -S launch.py PARENT NETNS USER COMMAND…

PARENT is the process that must outlive nothing of ours; NETNS a network namespace or `-`; USER a name or `-`. The
command replaces this script, so that its process id is the one that was started. Only the standard library is used:
a start must cost milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
from pathlib import Path

NAMESPACES = Path("/run/netns")
"""Where iproute2 keeps named network namespaces."""

_CLONE_NEWNET = 0x4000_0000
_PR_SET_PDEATHSIG = 1


def enter(file: str | Path) -> None:
    """Put the calling thread, and what it starts, into the network namespace of a file; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(handle, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(file))
    finally:
        os.close(handle)


def become(user: str) -> None:
    """Give up root for an ordinary account."""
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ["HOME"] = account.pw_dir


def follow(parent: int) -> None:
    """End with the parent. After `become`: the kernel forgets this wish when a process changes its account."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main(parent: str, namespace: str, user: str, *command: str) -> None:
    """Enter, become, follow, and be replaced by the command."""
    if namespace != "-":
        enter(NAMESPACES / namespace)
    if user != "-":
        become(user)
    follow(int(parent))
    os.execvp(command[0], command)  # noqa: S606 - the harness's own command line, no shell


if __name__ == "__main__":
    main(*sys.argv[1:])
