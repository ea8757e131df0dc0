"""What electronics say is in a unit, against the record."""

import pytest

from mes.domain.inventory import Built, Item, compare, reasons_of, wrong_firmware
from mes.domain.product import BomLine, Definition, Firmware

TRAY = Definition(
    "TRAY",
    "A",
    "Tray",
    "compute",
    bom=(BomLine(("GPU1", "GPU2"), "GPU"), BomLine(("PLATE",), "PLATE"), BomLine(("BMC",), "BMC")),
    firmware=(Firmware("BMC", ("26.1", "26.2"), position="BMC"), Firmware("VBIOS", ("97",), kind="gpu")),
)
BUILT = (Built("GPU1", "GPU", "G1"), Built("GPU2", "GPU", "G2"), Built("PLATE", "PLATE", "P1"))


def verdicts(*items: Item) -> dict[str, str]:
    return {one.position: one.verdict for one in compare(BUILT, items, TRAY)}


@pytest.mark.parametrize(
    ("item", "verdict"),
    [
        (Item("GPU1", "GPU", "G1"), "match"),
        (Item("GPU1", "900-GPU", "G1"), "match"),  # one device has several part numbers
        (Item("GPU1", "GPU", "G9"), "wrong_serial"),
        (Item("GPU1", "GPX", "G9"), "wrong_part"),
        (Item("GPU1", "GPU", "G2"), "moved"),
        (Item("GPU1", "GPU", "NA"), "placeholder"),
        (Item("GPU1", "GPU"), "match"),
        (Item("GPU1", "GPX"), "wrong_part"),
        (Item("GPU1"), "missing"),
        (Item("GPU7", "GPU", "G9"), "unexpected"),
        (Item("HGX_GPU_0", "900-GPU", "G1"), "match"),
    ],
)
def test_each_slot_has_a_verdict(item: Item, verdict: str) -> None:
    assert verdicts(item)[item.position] == verdict


def test_what_the_record_knows_nothing_of_is_left_out() -> None:
    assert verdicts(Item("ERoT_0", None, "0x77"), Item("FPGA", "NA", "NA")) == {}


def test_a_part_is_missing_where_its_like_reports_itself() -> None:
    assert verdicts(Item("GPU1", "GPU", "G1")) == {"GPU1": "match", "GPU2": "missing"}
    assert verdicts(Item("CPU", "CPU", "C1")) == {}


def test_firmware_must_be_of_the_baseline() -> None:
    right = (Item("BMC", firmware={"BMC": "26.2"}), Item("GPU1", firmware={"": "97"}, kind="GPU"))
    assert wrong_firmware(right, TRAY) == []
    assert wrong_firmware([Item("BMC", "BMC", "B1")], TRAY) == []  # it was no reading of firmware
    wrong = wrong_firmware((Item("BMC", firmware={"BMC": "25.9"}),), TRAY)
    assert [(one.wanted.name, one.position, one.found) for one in wrong] == [
        ("BMC", "BMC", "25.9"),
        ("VBIOS", None, None),
    ]


def test_reasons_name_every_slot() -> None:
    items = (Item("GPU1", "GPU", "G2"), Item("GPU2", "GPU", "NA"), Item("BMC", firmware={"BMC": "25.9"}))
    found = reasons_of(compare(BUILT, items, TRAY), wrong_firmware(items, TRAY))
    assert [one.code for one in found] == ["unit_mismatch", "placeholder_serial", "firmware_mismatch"]
    assert "GPU1 (moved)" in found[0].text
    assert "BMC at BMC is 25.9, wanted 26.1 or 26.2" in found[2].text
