"""Pictures in the README, drawn from the code: `python -m tests.house.pictures` redraws them.

A picture stands between two marks, `<!-- name -->` and `<!-- /name -->`. A mark that is missing is added at the end.
"""

import ast
import re
import textwrap
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from types import ModuleType

from mes.domain import hold, nonconformance, unit, work_order
from tests.house import roles
from tests.house.sources import ROOT, tree

README = ROOT / "README.md"
WIDTH = 120
INDENT = 16
LIFECYCLES: Mapping[str, ModuleType] = {
    "unit": unit,
    "work order": work_order,
    "nonconformance": nonconformance,
    "hold": hold,
}


def lifecycle(noun: str, module: ModuleType) -> str:
    """The state diagram of a table of allowed moves, with each state's sentence and each move's verb."""
    moves: Mapping[StrEnum, frozenset[StrEnum]] = module.MOVES
    verbs: Mapping[StrEnum, Mapping[str, StrEnum]] = getattr(module, "VERBS", {})
    lines = ["```mermaid", "stateDiagram-v2", f"    accTitle: Life of a {noun}"]
    for state in module.State:
        lines.append(f"    {state} : {state}")
        for target in sorted(moves[state], key=list(module.State).index):
            said = " or ".join(sorted(verb for verb, goal in verbs.get(state, {}).items() if goal == target))
            lines.append(f"    {state} --> {target}" + (f" : {said}" if said else ""))
    lines += ["```", "", "| state | |", "|---|---|"]
    lines += [f"| {state} | {module.SENTENCES[state]} |" for state in module.State]
    return "\n".join(lines)


def floor_plan() -> str:
    """Every package with the first sentence of its docstring and the names of its modules."""
    lines = ["```"]
    for package in ("mes", "stations"):
        lines += _folder(ROOT / package, 0)
    return "\n".join([*lines, "```"])


def _folder(folder: Path, depth: int) -> list[str]:
    lines = [f"{'  ' * depth + folder.name + '/':<{INDENT}}{first_sentence(folder / '__init__.py')}"]
    modules = " · ".join(sorted(path.stem for path in folder.glob("*.py") if path.name != "__init__.py"))
    lines += [" " * INDENT + line for line in textwrap.wrap(modules, WIDTH - INDENT)]
    for below in sorted(folder.iterdir()):
        if (below / "__init__.py").exists():
            lines += _folder(below, depth + 1)
    return lines


def first_sentence(path: Path) -> str:
    """How a module's docstring begins."""
    paragraph = (ast.get_docstring(tree(path)) or "").partition("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=[\w)`])\.(?=\s|$)", paragraph)[0]


PICTURES: Mapping[str, Callable[[], str]] = {
    "floor-plan": floor_plan,
    "roles": roles.table,
    **{
        f"lifecycle:{noun.replace(' ', '_')}": lambda noun=noun, module=module: lifecycle(noun, module)
        for noun, module in LIFECYCLES.items()
    },
}


def redrawn(readme: str) -> str:
    """The README with every picture as the code has it now."""
    for name, draw in PICTURES.items():
        block = f"<!-- {name} -->\n{draw()}\n<!-- /{name} -->"
        marked = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.S)
        if marked.search(readme):
            readme = marked.sub(lambda _, block=block: block, readme)
        else:
            readme = f"{readme.rstrip()}\n\n{block}\n"
    return readme


if __name__ == "__main__":
    README.write_text(redrawn(README.read_text()))
