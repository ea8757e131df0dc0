"""Measure the MES on this machine, with real parts: `python -m tests.bench NAME [--short] [--json]`.

A bench is a module of this folder with a coroutine `run(short=...)` that starts what it needs, measures, and returns
one flat object of figures. Short runs take seconds and prove that a bench works; their figures mean nothing.
"""

import argparse
import asyncio
import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def names() -> list[str]:
    """Every bench there is."""
    return sorted(
        path.stem
        for path in Path(__file__).parent.glob("[a-z]*.py")
        if not path.stem.startswith("test_") and "async def run(" in path.read_text()
    )


def measure(name: str, *, short: bool = False, **options: Any) -> dict[str, Any]:
    """Run one bench, with options of its own."""
    figures: dict[str, Any] = asyncio.run(importlib.import_module(f"tests.bench.{name}").run(short=short, **options))
    return figures


def table(figures: Mapping[str, Any]) -> str:
    """The figures for people: a line each, lists of objects below one another."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{name}:")
            lines += ["  " + ", ".join(f"{key} {_shown(one)}" for key, one in row.items()) for row in value]
        else:
            lines.append(f"{name:<28} {_shown(value)}")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else str(value)


def main(arguments: list[str]) -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("name", choices=names())
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--short", action="store_true", help="a run of seconds, to see that it works")
    parser.add_argument(
        "--commit-delay-us", type=int, help="ingest: let each commit take so much longer, for all alike"
    )
    given = parser.parse_args(arguments)
    if given.commit_delay_us is not None and given.name != "ingest":
        parser.error("--commit-delay-us is for ingest")
    options = {} if given.commit_delay_us is None else {"commit_delay_us": given.commit_delay_us}
    figures = measure(given.name, short=given.short, **options)
    sys.stdout.write((json.dumps(figures) if given.json else table(figures)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
