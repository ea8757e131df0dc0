"""Plotly's bundle as its Python package ships it, served by us, and its style as a file of its own.

The bundle writes its style into the page, which our Content-Security-Policy forbids. It leaves that alone where an
element of a certain name says so, and the page links the same rules, taken out of the bundle, instead.
"""

import re
from functools import cache
from typing import Final

from plotly.offline import get_plotlyjs

from mes.web.statics import STATICS

SCRIPT: Final = "plotly.js"
STYLE: Final = "plotly.css"
STYLE_ID: Final = "plotly.js-style-global"
"""The element that stands for the bundle's style; with the class `no-inline-styles` it writes none."""

_TEXT: Final = r"""(?:"[^"]*"|'[^']*')"""
_NAME: Final = rf"(?:{_TEXT}|\w+)"
_RULES: Final = re.compile(rf'\{{"X,X div":{_TEXT}(?:,{_NAME}:{_TEXT})*\}}')
_RULE: Final = re.compile(f"({_NAME}):({_TEXT})")
_NAMES: Final = {"X": ".js-plotly-plot .plotly", "Y": ".plotly-notifier"}


@cache
def style() -> str:
    """The bundle's rules; none if a newer bundle holds them in another way: charts are then plain, and a test fails."""
    found = _RULES.search(get_plotlyjs())
    rules = [(selector.strip("'\""), rule[1:-1]) for selector, rule in _RULE.findall(found[0])] if found else []
    return "".join(f"{re.sub('[XY]', lambda name: _NAMES[name[0]], selector)}{{{rule}}}\n" for selector, rule in rules)


STATICS.add(SCRIPT, lambda: get_plotlyjs().encode())
STATICS.add(STYLE, lambda: style().encode())
