"""The brokers' files: as the code says them, and a station's secret from its making to the broker's door."""

import json
import os
import re
import runpy
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest
from typer.testing import CliRunner

from mes.__main__ import app
from mes.commands.access import find_token
from mes.db.session import Database
from mes.doctor.trial import Refused, connected
from mes.embedded.broker import configuration
from mes.embedded.mosquitto import keeping
from mes.formats.broker_passwords import BrokerAccount, emqx_file, hashed
from mes.mqtt import topics
from tests.deploy.floor_broker import DEPLOY, floor_broker, passwords

broker_files = SimpleNamespace(**runpy.run_path(str(DEPLOY / "broker_files.py")))


def test_the_files_are_as_the_code_says() -> None:
    for path, content in broker_files.files():
        assert path.read_text() == content, "run python deploy/broker_files.py"


def test_the_embedded_broker_keeps_by_the_same_lines(tmp_path: Path) -> None:
    embedded = configuration(1, tmp_path, 1024 * 1024).splitlines()
    shipped = broker_files.mosquitto_conf().splitlines()
    for line in keeping():
        assert line.text in embedded
        assert line.text in shipped


def test_both_access_lists_name_every_topic_in_its_direction() -> None:
    mosquitto, emqx = broker_files.mosquitto_acl(), broker_files.emqx_acl()
    for kind in topics.KINDS:
        verb, action = ("read", "subscribe") if kind in broker_files.READS else ("write", "publish")
        assert f"pattern {verb} mes/v1/%u/{kind}\n" in mosquitto
        (rule,) = [line for line in emqx.splitlines() if f'"mes/v1/${{username}}/{kind}"' in line]
        assert rule.startswith(f"{{allow, all, {action}, [")
    assert emqx.rstrip().endswith("{deny, all}.")


def test_emqx_gets_balanced_braces_and_what_keeps_messages() -> None:
    """EMQX can't be run here; this much of it can be held."""
    text = broker_files.emqx_conf()
    assert [text.count(mark) for mark in "{["] == [text.count(mark) for mark in "}]"]
    for line in ("max_mqueue_len = infinity", "no_match = deny", "use_username_as_clientid = true", "nodelay = true"):
        assert line in text
    # Its own doors are open unless they are closed, and no station is held to its name there.
    for door in ("ssl", "ws", "wss"):
        assert f"listeners.{door}.default.enable = false" in text
    account = BrokerAccount("ct-01", hashed("secret"))
    head, row = emqx_file([account]).splitlines()
    assert head == "user_id,password_hash,salt,is_superuser"
    assert re.fullmatch(r"ct-01,[0-9a-f]{128},[A-Za-z]{12},false", row)


def mes(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The `mes` command on a database."""
    told = {"MES_DATABASE_URL": database_url, "MES_MQTT_URL": "mqtt://mes:of-the-mes@127.0.0.1:1883"}
    command = [sys.executable, "-m", "mes", *arguments]
    return subprocess.run(command, env={**os.environ, **told}, capture_output=True, text=True, timeout=60)


def secret_of(done: subprocess.CompletedProcess[str]) -> str:
    """The secret that a command printed."""
    assert done.returncode == 0, done.stderr
    (found,) = re.findall(r"^mes_[0-9a-f]{32}_\S+$", done.stdout, re.M)
    return str(found)


async def test_a_stations_secret_opens_both_doors_until_it_is_renewed(database_url: str, tmp_path: Path) -> None:
    first = secret_of(mes(database_url, "stations", "add", "ct-01", "--line", "L1", "--kind", "cable-test"))
    file = tmp_path / "accounts"
    assert mes(database_url, "broker", "passwords", "-o", str(file)).returncode == 0
    assert file.stat().st_mode & 0o077 == 0
    with floor_broker(tmp_path, file.read_text()) as floor:
        with connected(floor.mes(), "mes-ingest"), connected(floor.station("ct-01", first), "x"):
            pass
        again = mes(database_url, "stations", "add", "ct-01", "--line", "L1", "--kind", "cable-test")
        assert "keeps its secret" in again.stdout
        second = secret_of(mes(database_url, "stations", "secret", "ct-01"))
        assert mes(database_url, "broker", "passwords", "-o", str(floor.passwords)).returncode == 0
        floor.reload()
        with connected(floor.station("ct-01", second), "x"):
            pass
        with pytest.raises(Refused), connected(floor.station("ct-01", first), "x"):
            pass
    database = Database(database_url, pool_size=1)
    async with database.reading() as connection:
        assert await find_token(connection, first) is None
        caller = await find_token(connection, second)
    await database.close()
    assert caller is not None
    assert (caller.station, caller.roles) == ("ct-01", {"station"})
    assert not await _kept_anywhere(database_url, second)


async def _kept_anywhere(database_url: str, secret: str) -> bool:
    """Whether the secret itself stands in a row of stations or tokens."""
    connection = await asyncpg.connect(database_url)
    rows = [str(row) for table in ("station", "token") for row in await connection.fetch(f"SELECT * FROM {table}")]
    await connection.close()
    return any(secret.split("_", 2)[2] in row for row in rows)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mqtt://127.0.0.1:1883", "must name the MES's own user and password"),
        ("mqtt://other:x@127.0.0.1:1883", "knows the MES as mes"),
    ],
)
def test_a_password_file_without_the_mes_is_not_written(database_url: str, tmp_path: Path, url: str, why: str) -> None:
    told = {**os.environ, "MES_DATABASE_URL": database_url, "MES_MQTT_URL": url}
    command = [sys.executable, "-m", "mes", "broker", "passwords", "-o", str(tmp_path / "accounts")]
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert why in done.stderr
    assert not (tmp_path / "accounts").exists()


def test_no_station_is_called_like_the_mes(database_url: str) -> None:
    done = mes(database_url, "stations", "add", "mes", "--line", "L1", "--kind", "cable-test")
    assert done.returncode == 1
    assert "is the MES itself" in done.stderr


def test_the_doctor_on_the_command_line(database_url: str, tmp_path: Path) -> None:
    """Its table and its JSON say the same; an area alone is looked at alone; an unknown one is wrong usage."""
    done = mes(database_url, "doctor", "--only", "journal", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["healthy"]) == (0, True)
    assert {one["area"] for one in told["findings"]} == {"journal"}
    table = mes(database_url, "doctor", "--only", "journal")
    assert "numbering" in table.stdout
    wrong = tmp_path / "logins"
    wrong.write_text("http://ct-01:x@127.0.0.1\n")
    for usage in (["--only", "nothing"], ["--logins", str(wrong)]):
        assert CliRunner().invoke(app, ["doctor", *usage]).exit_code == 2
    typo = {**os.environ, "MES_DATABSE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-m", "mes", "doctor", "--only", "settings"], env=typo, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "MES_DATABASE_URL" in done.stdout


def test_a_station_gets_no_share_of_what_is_divided_among_slots(database_url: str, tmp_path: Path) -> None:
    """It joins the group by the name that can be guessed. Mosquitto lets it; what it got would be lost."""
    with floor_broker(tmp_path, passwords(ct_01="one", ct_02="two")) as floor:
        url = f"mqtt://mes:of-the-mes@127.0.0.1:{floor.mes_port}"
        told = {**os.environ, "MES_DATABASE_URL": database_url, "MES_MQTT_URL": url}
        ready = tmp_path / "ready"
        command = [sys.executable, "-m", "mes", "ingest", "--slot", "0", "--ready-file", str(ready)]
        with (tmp_path / "ingest.log").open("wb") as log:
            process = subprocess.Popen(command, env=told, stdout=log, stderr=log)
        try:
            wait_for_file(ready)
            with (
                connected(floor.station("ct-01", "one"), "x") as thief,
                connected(floor.station("ct-02", "two"), "y") as one,
            ):
                thief.subscribe("$share/mes-main/mes/v1/+/step")
                one.subscribe("mes/v1/ct-02/receipts")
                said = [b'{"id": "%d"}' % number for number in range(SHARED)]
                assert one.publish_all("mes/v1/ct-02/step", said)
                assert one.wait(lambda: settled(one.received) == SHARED), settled(one.received)
        finally:
            process.terminate()
            process.wait(20)


SHARED = 20


def settled(receipts: list[tuple[str, bytes]]) -> int:
    """How many messages these receipts are about."""
    told = [one for _, payload in receipts for one in json.loads(payload)["data"]["settled"]]
    return len({one.get("id", one.get("sha256")) for one in told})


def wait_for_file(file: Path, within_s: float = 30.0) -> None:
    """Wait until a program has written it."""
    deadline = time.monotonic() + within_s
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} is not there after {within_s:.0f} s"
        time.sleep(0.05)
