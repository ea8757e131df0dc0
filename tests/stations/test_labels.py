"""What a scanner reads, by what it is."""

import pytest

from stations.labels import read_label, strip_prefix


@pytest.mark.parametrize(
    ("scanned", "fields"),
    [
        ("S12345", {"serial": "12345"}),
        ("1PCON-PSB8", {"part": "CON-PSB8"}),
        ("PCON-PSB8", {"part": "CON-PSB8"}),
        ("1TL-77", {"lot": "L-77"}),
        ("Q250", {"quantity": "250"}),
        ("(21)12345", {"serial": "12345"}),
        ("(01)04012345123456(21)12345(10)L-77", {"gtin": "04012345123456", "serial": "12345", "lot": "L-77"}),
        ("[)>\x1e06\x1d1PCON-PSB8\x1dS12345\x1dQ1\x1e\x04", {"part": "CON-PSB8", "serial": "12345", "quantity": "1"}),
        ("[)>\x1e06\x1d1PCON-PSB8\x1dS12345", {"part": "CON-PSB8", "serial": "12345"}),
        ("(99)secret(21)12345", {"serial": "12345"}),
        (" S12345\r\n", {"serial": "12345"}),
        ("12345", {}),
        ("S", {}),
        ("", {}),
        ("(21)", {}),
    ],
)
def test_labels_say_what_they_hold(scanned: str, fields: dict[str, str]) -> None:
    assert read_label(scanned) == fields


@pytest.mark.parametrize("scanned", ["S12345", "(21)12345", "12345", "(01)04012345123456(21)12345", " 12345\n"])
def test_a_serial_is_the_same_however_it_is_printed(scanned: str) -> None:
    assert strip_prefix(scanned) == "12345"


def test_the_wanted_field_is_taken() -> None:
    assert strip_prefix("[)>\x1e06\x1d1PCON-PSB8\x1dS12345\x1e\x04", "part") == "CON-PSB8"
    assert strip_prefix("1TL-77", "lot") == "L-77"
