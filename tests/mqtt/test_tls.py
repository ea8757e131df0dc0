"""The same over TLS, where bytes can wait inside the TLS layer while the socket is silent."""

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
from mes.embedded.ports import next_free
from mes.mqtt.bridge import Bridge
from tests.mqtt.floor import V311


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
    port = next_free(21883)
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


async def test_large_and_many_messages_come_through(secure: SecureBroker) -> None:
    async with (
        Bridge(secure.url, "in", ["mes/v1/+/run"], ssl_context=secure.context, queue_max_messages=50) as taker,
        Bridge(secure.url, "out", protocols=V311, ssl_context=secure.context) as giver,
    ):
        await asyncio.gather(taker.connected(), giver.connected())
        sent = [b"%d " % number + b"x" * (900_000 if number % 50 == 0 else 500) for number in range(500)]
        for payload in sent:
            giver.publish("mes/v1/st-1/run", payload)
        found: list[bytes] = []
        async with asyncio.timeout(30):
            while len(found) < len(sent):
                batch = await taker.get_batch(20)
                taker.ack(batch)
                found += [one.payload for one in batch]
        assert found == sent
        assert taker.queued_peak_messages <= 50


async def test_a_wrong_password_is_told(secure: SecureBroker, caplog: pytest.LogCaptureFixture) -> None:
    async with Bridge(secure.url.replace("p%40ss", "wrong"), "in", ssl_context=secure.context) as bridge:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bridge.connected(), 1)
    assert "the broker refuses us" in caplog.text


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure: SecureBroker, caplog: pytest.LogCaptureFixture
) -> None:
    async with Bridge(secure.url, "in") as bridge:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bridge.connected(), 1)
    assert "certificate verify failed" in caplog.text
