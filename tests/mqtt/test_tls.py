"""The same over TLS, where bytes can wait inside the TLS layer while the socket is silent."""

import asyncio

import pytest

from mes.mqtt.bridge import Bridge
from tests.mqtt.floor import V311
from tests.mqtt.secure import SecureBroker, secure

__all__ = ["secure"]


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
        await said(caplog, "the broker refuses us")
        assert not bridge.is_up


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure: SecureBroker, caplog: pytest.LogCaptureFixture
) -> None:
    async with Bridge(secure.url, "in") as bridge:
        await said(caplog, "certificate verify failed")
        assert not bridge.is_up


async def said(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(30):
        while text not in caplog.text:  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.05)
