"""As whom PostgreSQL runs, for it refuses root, and initdb refuses a user whom the system does not know by name.

An ordinary user runs it as itself. Root runs it as the owner of its folder; where that is root too, inside a user
namespace, in which root's own files stay in reach; and where namespaces are forbidden (some containers), as an
unprivileged user, to whom the folder is then given. A user who is only a number (in other containers) uses a
namespace too.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path

from mes.embedded.binaries import Binaries
from mes.embedded.child import LAUNCH
from mes.embedded.problems import PartError

UNPRIVILEGED = ("postgres", "nobody")


def can_run(identity: str, program: str, *arguments: str) -> bool:
    """Whether this program runs under that identity; it should do nothing but answer."""
    command = [sys.executable, "-I", "-S", LAUNCH, str(os.getpid()), "15", identity, program, *arguments]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def namespace() -> str:
    """Be some user whom the system knows by name, and who is not root, inside a user namespace."""
    return f"namespace:{min((user.pw_uid for user in pwd.getpwall() if user.pw_uid > 0), default=1)}"


def choose(binaries: Binaries, cluster: Path, *, namespaces: bool = True) -> str:
    """The identity for the server on this folder, which may not exist yet; gives the folder away where it must."""
    if os.geteuid() != 0:
        return "self" if _is_known(os.geteuid()) else namespace()
    owner = cluster.stat() if cluster.exists() else None
    if owner is not None and owner.st_uid != 0:
        return f"{owner.st_uid}:{owner.st_gid}"
    if namespaces and can_run(namespace(), binaries.postgres, "--version"):
        return namespace()
    return _give_away(binaries, cluster)


def _give_away(binaries: Binaries, cluster: Path) -> str:
    users = [user for name in UNPRIVILEGED if (user := _user(name))]
    for user in users:
        identity = f"{user.pw_uid}:{user.pw_gid}"
        if can_run(identity, binaries.postgres, "--version") and _opened_to(identity, user, cluster):
            return identity
    names = " or ".join(user.pw_name for user in users) or "any unprivileged user"
    raise PartError(
        "PostgreSQL does not run as root, this machine forbids user namespaces, and as "
        f"{names} either {binaries.folder} or {cluster.parent} is out of reach. "
        "Run mes as an ordinary user, choose a --data-dir that others may enter (such as /var/lib/mes), "
        "or set MES_DATABASE_URL."
    )


def _opened_to(identity: str, user: pwd.struct_passwd, cluster: Path) -> bool:
    """Give the folder to the user, and see whether that user gets there."""
    data_dir = cluster.parent
    data_dir.chmod(data_dir.stat().st_mode | 0o011)  # to pass through; every secret in it is 0600
    if not can_run(identity, "/bin/sh", "-c", 'cd "$0"', str(data_dir)):
        return False
    cluster.mkdir(mode=0o700, exist_ok=True)
    for path in [cluster, *cluster.rglob("*")]:
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    return True


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
