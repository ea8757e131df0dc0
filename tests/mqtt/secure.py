"""A Mosquitto that wants TLS and a password."""

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mes.embedded.broker import find_mosquitto
from tests.parts import any_port


class SecureBroker(NamedTuple):
    """A broker that wants TLS and a password, and the context that trusts it."""

    url: str
    context: ssl.SSLContext


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[SecureBroker]:
    program, openssl = find_mosquitto(), shutil.which("openssl")
    password_tool = shutil.which("mosquitto_passwd")
    if program is None or openssl is None or password_tool is None:
        pytest.skip("mosquitto, mosquitto_passwd or openssl is not installed")
    port = any_port()
    file = await asyncio.to_thread(_configure, tmp_path, port, openssl, password_tool)
    process = await asyncio.create_subprocess_exec(program, "-c", str(file), stderr=asyncio.subprocess.DEVNULL)
    context = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    yield SecureBroker(f"mqtts://mes:p%40ss%2Fword@localhost:{port}", context)
    process.terminate()
    await process.wait()


def _configure(folder: Path, port: int, openssl: str, password_tool: str) -> Path:
    """Make a key, a certificate for localhost that vouches for itself, a password and Mosquitto's configuration."""
    key, certificate, passwords = folder / "key.pem", folder / "certificate.pem", folder / "passwords"
    made = f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    argv = [*made.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    subprocess.run([password_tool, "-c", "-b", str(passwords), "mes", "p@ss/word"], check=True, capture_output=True)
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous false", f"password_file {passwords}"]
    lines += [f"certfile {certificate}", f"keyfile {key}", "max_inflight_messages 0", "max_queued_messages 0"]
    lines += ["user root"] if os.geteuid() == 0 else []
    file = folder / "mosquitto.conf"
    file.write_text("\n".join(lines) + "\n")
    return file
