"""Become another program that dies with the one that asked for it.

Run as a script, by path and without site packages, so that it costs milliseconds:

    python -I -S launch.py PARENT_PID DEATH_SIGNAL IDENTITY PROGRAM [ARGUMENT ...]

IDENTITY is `self`, `namespace:UID` (be that user inside a user namespace, and who we are outside) or `UID:GID`.
It is a program of its own because Python code between fork and exec is not safe in a process that has threads.
"""

import ctypes
import os
import sys
from pathlib import Path

NOT_PERMITTED = 125
"""Exit status when the identity can not be taken."""
NOT_REACHABLE = 126
"""Exit status when the program can not be reached or executed under that identity."""

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def enter_user_namespace(inside: int) -> None:
    """Be another user by number, while our own files stay within reach. If we are root, root's powers are gone."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are forbidden here")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inside} {gid} 1")


def take_identity(identity: str) -> None:
    """Change who this process is; raises OSError where that is not permitted."""
    if identity.startswith("namespace:"):
        enter_user_namespace(int(identity.partition(":")[2]))
    elif identity != "self":
        uid, gid = (int(number) for number in identity.split(":"))
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)


def die_with_parent(parent: int, signal_number: int) -> None:
    """Have the kernel signal us when the parent ends, however it ends. A change of identity would clear it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(NOT_PERMITTED)


def main() -> None:
    """Read the arguments and become the program."""
    parent, signal_number, identity, *program = sys.argv[1:]
    try:
        take_identity(identity)
    except OSError as error:
        print(f"launch: can not become {identity}: {error}", file=sys.stderr)
        sys.exit(NOT_PERMITTED)
    die_with_parent(int(parent), int(signal_number))
    try:
        os.execv(program[0], program)
    except OSError as error:
        print(f"launch: can not run {program[0]} as {identity}: {error}", file=sys.stderr)
        sys.exit(NOT_REACHABLE)


if __name__ == "__main__":
    main()
