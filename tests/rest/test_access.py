"""Every route asks who calls. A route without a case here fails."""

from datetime import UTC, datetime

import httpx
import pytest

from mes.commands.access import ROLES as ALL_ROLES
from mes.commands.access import add_account, add_token, check_password, count_tokens, revoke_token
from mes.domain.refusals import Refusal
from mes.rest.access import ROLES
from tests.rest.floor import API, Floor
from tests.rest.routes import routes

OPEN = {"/healthz", "/readyz", "/metrics", f"{API}/openapi.json", f"{API}/asyncapi.json"}
"""All that answers without a token."""


async def test_every_route_has_its_roles_and_no_other(floor: Floor) -> None:
    assert {case.name for case in routes(floor.app)} == set(ROLES)
    for route, roles in ROLES.items():
        assert "admin" in roles, route
        assert roles <= set(ALL_ROLES), route


async def test_nothing_answers_a_stranger(floor: Floor) -> None:
    for case in routes(floor.app):
        for headers in ({}, {"Authorization": "Bearer mes_x_y"}, {"Authorization": "Basic YTpi"}):
            answer = await floor.client.request(case.method, API + case.path, json=case.body, headers=headers)
            assert answer.status_code == 401, case.name
            assert answer.headers["www-authenticate"].startswith("Bearer"), case.name
            assert answer.json()["code"] == "unauthenticated"


async def test_every_role_on_every_route(floor: Floor) -> None:
    for case in routes(floor.app):
        for role in ALL_ROLES:
            if role == "station":
                continue
            answer = await floor.call(case.method, case.path, case.body, role=role)
            if role in ROLES[case.name]:
                assert answer.status_code not in (401, 403), (case.name, role, answer.text)
            else:
                assert answer.status_code == 403, (case.name, role, answer.text)
                assert answer.json()["code"] == "forbidden"
                assert "admin" in answer.json()["detail"], "it names the roles that may"


async def test_a_station_speaks_for_itself_only(floor: Floor) -> None:
    for case in routes(floor.app):
        answer = await floor.call(case.method, case.path, case.body, role="station")
        assert answer.status_code == 403, case.name
    own = await floor.call("POST", "/stations/st-01/messages", [], role="station")
    assert own.status_code == 200


async def test_what_is_open_stays_open(floor: Floor) -> None:
    for path in OPEN:
        assert (await floor.client.get(path)).status_code == 200, path


async def test_a_revoked_or_altered_token_opens_nothing(floor: Floor) -> None:
    at = datetime.now(UTC)
    async with floor.database.transaction() as connection:
        token = await add_token(connection, "temporary", "viewer", at=at)
        assert await count_tokens(connection) == len(ALL_ROLES) + 1

    async def answer(given: str) -> httpx.Response:
        return await floor.client.get(f"{API}/products", headers={"Authorization": f"Bearer {given}"})

    assert (await answer(token)).status_code == 200
    assert (await answer(token[:-1])).status_code == 401
    assert (await answer(token.replace("mes_", "MES_"))).status_code == 401
    async with floor.database.transaction() as connection:
        assert await revoke_token(connection, token.split("_")[1], at=at)
        assert not await revoke_token(connection, token.split("_")[1], at=at)
    assert (await answer(token)).status_code == 401


async def test_a_token_is_stored_as_a_hash_only(floor: Floor) -> None:
    from sqlalchemy import text

    async with floor.database.reading() as connection:
        rows = (await connection.execute(text("SELECT t::text FROM token t"))).scalars().all()
    secrets = [token.split("_", 2)[2] for token in floor.tokens.values()]
    assert not any(secret in row for secret in secrets for row in rows)


async def test_tokens_that_make_no_sense_are_refused(floor: Floor) -> None:
    at = datetime.now(UTC)
    async with floor.database.transaction() as connection:
        for role, station, code in (
            ("king", None, "invalid"),
            ("station", None, "invalid"),
            ("viewer", "st-01", "invalid"),
            ("station", "nowhere", "unknown_station"),
        ):
            with pytest.raises(Refusal) as refused:
                await add_token(connection, "t", role, station, at=at)
            assert refused.value.reasons[0].code == code


async def test_a_password_lets_its_account_in(floor: Floor) -> None:
    at = datetime.now(UTC)
    async with floor.database.transaction() as connection:
        assert await add_account(connection, "j.doe", "correct horse", ["quality"], at=at)
        assert not await add_account(connection, "j.doe", "battery staple", ["quality", "viewer"], at=at)
        caller = await check_password(connection, "j.doe", "battery staple")
        assert caller is not None
        assert caller.roles == {"quality", "viewer"}
        assert await check_password(connection, "j.doe", "correct horse") is None
        assert await check_password(connection, "nobody", "correct horse") is None
