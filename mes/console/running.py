"""How every command runs: with its settings, until done or signalled, and with one line for what a person can mend."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from mes import services
from mes.commands.act import Act
from mes.db.migrate import upgrade
from mes.db.session import Database
from mes.domain.refusals import Refusal
from mes.embedded.parts import database as embedded_database
from mes.embedded.problems import PartError
from mes.embedded.processes import until_signalled
from mes.settings import Settings, settings

T = TypeVar("T")
BY: Final = "command line"


def settings_with(**given: Any) -> Settings:
    """The settings with what the command line gave instead."""
    return settings().model_copy(update={name: value for name, value in given.items() if value is not None})


def run_until_done(work: Coroutine[Any, Any, None]) -> None:
    """Run until done or signalled. What a person can mend is said in a line, without a traceback."""

    async def signalled() -> None:
        async with until_signalled():
            await work

    try:
        asyncio.run(signalled())
    except (PartError, services.NotReady) as error:
        fail(str(error))


def wrong_settings(error: ValidationError) -> str:
    """Which settings of the environment can't be used, and why, a line each."""
    return "\n".join(
        f"mes: MES_{'_'.join(map(str, one['loc'])).upper()}={one['input']}: {one['msg']}" for one in error.errors()
    )


def fail(text: str) -> NoReturn:
    """Say what is wrong, in one line, and end with status 1."""
    typer.echo(f"mes: {text}", err=True)
    raise typer.Exit(1)


async def with_parts(using: Settings, service: Callable[[Settings], Awaitable[None]]) -> None:
    """A service on the settings' database and broker, or else on those of the data folder if they run."""
    async with embedded_database(using) as url:
        await service(using.model_copy(update={"database_url": url}))


def command(work: Callable[[AsyncConnection, Act], Awaitable[T]]) -> T:
    """Run one command in one transaction on the database in use."""
    using = settings()

    async def worked() -> T:
        async with embedded_database(using) as url:
            await asyncio.to_thread(upgrade, url)
            database = Database(url, site=using.site, pool_size=1)
            try:
                async with database.transaction() as connection:
                    return await work(connection, Act(using.site, BY, datetime.now(UTC)))
            finally:
                await database.close()

    try:
        return asyncio.run(worked())
    except PartError as error:
        fail(str(error))
    except Refusal as refusal:
        fail("; ".join(one.text for one in refusal.reasons))
