"""What scanners read off labels: data identifiers (ANSI MH10.8.2) and GS1 application identifiers, taken apart.

Only for labels that carry identifiers: a bare serial such as `SRV-7` also begins with an S and would lose it.
"""

import re
from typing import Final

_GS1: Final = {"01": "gtin", "10": "lot", "21": "serial", "37": "quantity", "240": "part", "241": "part"}
_IDENTIFIERS: Final = {"1P": "part", "1T": "lot", "P": "part", "Q": "quantity", "S": "serial", "T": "lot"}
_GROUP: Final = "\x1d"
_ENVELOPE: Final = re.compile(r"\[\)>\x1e06\x1d(.*?)(\x1e\x04?)?", re.DOTALL)
_BRACKETED: Final = re.compile(r"\((\d{2,4})\)([^(]*)")


def read_label(scanned: str) -> dict[str, str]:
    """The fields of a scan by what they are (serial, part, lot, quantity, gtin); nothing if it carries no identifier.

    Understands one field (`S123`, `1PABC`), several in brackets (`(01)…(21)123`), and the two-dimensional labels of
    ISO/IEC 15434 that hold several (`[)>…`).
    """
    text = scanned.strip(" \t\r\n")
    if text.startswith("("):
        return {_GS1[code]: value.strip() for code, value in _BRACKETED.findall(text) if code in _GS1 and value.strip()}
    if envelope := _ENVELOPE.fullmatch(text):
        fields = [_field(one) for one in envelope[1].split(_GROUP)]
        return dict(field for field in fields if field)
    field = _field(text)
    return dict([field]) if field else {}


def strip_prefix(scanned: str, wanted: str = "serial") -> str:
    """The wanted field of a scan, without its identifier; the whole text where it carries none.

    strip_prefix("S123") == strip_prefix("(21)123") == strip_prefix("123") == "123"; strip_prefix("1PABC", "part") ==
    "ABC".
    """
    return read_label(scanned).get(wanted, scanned.strip())


def _field(text: str) -> tuple[str, str] | None:
    """One field: its longest identifier, and what follows."""
    for length in (2, 1):
        if text[:length] in _IDENTIFIERS and text[length:]:
            return _IDENTIFIERS[text[:length]], text[length:]
    return None
