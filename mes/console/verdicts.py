"""What the MES judged of runs that were pushed: a receipt says what became of a message, not of the product.

Read over REST where its address and a token are known; on the machine of `mes up` both are. Without them nothing is
said of verdicts: that a message is on the record does not depend on it.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple
from urllib.parse import quote

import typer

from mes.local import TOKEN_FILE, remembered_api_url
from mes.settings import Settings

if TYPE_CHECKING:
    import httpx

TIMEOUT_S: Final = 10.0
PAGE: Final = 1000
REASONS_MAX: Final = 5

RestUrl = Annotated[
    str | None, typer.Option("--rest", help="Where REST is, to read verdicts from; else `mes up`'s of this folder.")
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="File with a bearer token for --rest; role viewer will do.")
]


class UnknownVerdictError(Exception):
    """REST can't be reached, or does not say. Says why."""


class RestAccess(NamedTuple):
    """Where REST is, with a token that may read."""

    url: str
    token: str


class Verdict(NamedTuple):
    """A run as the record has it: what the station claimed, what the MES judged, and why if that is no pass."""

    step: str
    claim: str
    verdict: str
    reasons: list[str]

    def __str__(self) -> str:
        differs = f" (claimed {self.claim})" if self.claim != self.verdict else ""
        return f"verdict of {self.step}: {self.verdict}{differs}"


def rest_access(url: str | None, token_file: Path | None, using: Settings) -> RestAccess | None:
    """The way to REST that was named, or that of the MES in this folder; None: there is none. Raises OSError."""
    token = token_file or using.data_dir / TOKEN_FILE
    if url is None and token_file is None and not token.exists():
        return None
    return RestAccess((url or remembered_api_url(using)).rstrip("/"), token.read_text().strip())


def verdicts(access: RestAccess, station: str, unit: str, ids: Collection[str]) -> list[Verdict]:
    """What the runs that these messages told of come to by now. Raises UnknownVerdictError."""
    import httpx  # loaded only where it is used: it takes as long as the rest of the command

    headers = {"Authorization": f"Bearer {access.token}"}
    told_by = {(f"stations/{station}", id) for id in ids}
    try:
        base = f"{access.url}/api/v1"
        with httpx.Client(base_url=base, headers=headers, timeout=TIMEOUT_S, trust_env=False) as rest:
            facts = (entry.get("data", {}).get("fact", {}) for entry in _history(rest, unit))
            runs = [one["what"].get("run_id") for one in facts if (one.get("source"), one.get("id")) in told_by]
            found = [_get(rest, f"/runs/{run}") for run in dict.fromkeys(runs) if run]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
        raise UnknownVerdictError(f"The verdict can't be read at {access.url}: {error}") from error
    return [_verdict(run) for run in found if run["verdict"]]


def _history(rest: "httpx.Client", unit: str) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        asked = {"limit": PAGE, **({"cursor": cursor} if cursor else {})}
        page = _get(rest, f"/units/{quote(unit, safe='')}/history", **asked)
        yield from page["items"]
        if (cursor := page["next_cursor"]) is None:
            return


def _verdict(run: dict[str, Any]) -> Verdict:
    reasons = [str(one["text"]) for one in run["reasons"]]
    return Verdict(run["step"], run["claim"], run["verdict"], reasons[:REASONS_MAX])


def _get(rest: "httpx.Client", path: str, **query: Any) -> Any:
    return rest.get(path, params=query).raise_for_status().json()
