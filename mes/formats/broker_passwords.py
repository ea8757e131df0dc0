"""Passwords as brokers keep them: PBKDF2 with SHA-512, in Mosquitto's password file and in EMQX's bootstrap file.

Both brokers take the same salt and key, so one hash is stored and either file can be written from it. Few rounds are
enough, and wanted: the secrets are 256 random bits, and Mosquitto checks them one by one in the thread that serves
everyone, also when a whole floor comes back after a power cut.
"""

import base64
import csv
import hashlib
import io
import re
import secrets
import string
from collections.abc import Iterable
from typing import Final, NamedTuple

ROUNDS: Final = 101
KEY_BYTES: Final = 64
SALT_CHARACTERS: Final = 12
_FORM: Final = re.compile(r"\$7\$(\d+)\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)\Z")


class BrokerAccount(NamedTuple):
    """Who may connect to the broker: the user's name and the hash of its password as `hashed` makes it."""

    user: str
    password_hash: str


def hashed(password: str) -> str:
    """The password's hash with a new salt, in Mosquitto's format: `$7$rounds$salt$key`."""
    # Letters only: EMQX takes the salt as text, Mosquitto as any bytes.
    salt = "".join(secrets.choice(string.ascii_letters) for _ in range(SALT_CHARACTERS)).encode()
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS, KEY_BYTES)
    return f"$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def mosquitto_file(accounts: Iterable[BrokerAccount]) -> str:
    """Mosquitto's password file: a line for each account, by name."""
    return "".join(f"{one.user}:{one.password_hash}\n" for one in sorted(accounts))


def emqx_file(accounts: Iterable[BrokerAccount]) -> str:
    """EMQX's bootstrap file of its built-in database, with `bootstrap_type = hash`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("user_id", "password_hash", "salt", "is_superuser"))
    for one in sorted(accounts):
        salt, key = _parts(one.password_hash)
        writer.writerow((one.user, key.hex(), salt.decode("ascii"), "false"))
    return text.getvalue()


def _parts(password_hash: str) -> tuple[bytes, bytes]:
    found = _FORM.match(password_hash)
    if found is None:
        raise ValueError("this is no hash of a broker's password")
    return base64.b64decode(found[2]), base64.b64decode(found[3])
