"""Redfish resources as an inventory: devices and their firmware, with what unprogrammed hardware says left as it is."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mes.domain.inventory import Built, Item, compare
from mes.formats.redfish import items
from tests.formats.test_openhtf import json_values

SAMPLE = Path(__file__).parents[3] / "shared/samples/redfish/gb300_tray_inventory_pseudonymised.json"
GPU: dict[str, Any] = {
    "@odata.type": "#Processor.v1_20_0.Processor",
    "PartNumber": "GPU",
    "SerialNumber": "G1",
    "ProcessorType": "GPU",
    "FirmwareVersion": "97",
    "Location": {"PartLocation": {"ServiceLabel": "GPU_0"}, "PartLocationContext": "Module_0"},
}


def test_devices_and_software_are_items() -> None:
    software = {"@odata.type": "#SoftwareInventory.v1_4_0.SoftwareInventory", "Id": "BMC", "Version": "26.1"}
    slots = {"@odata.type": "#PCIeSlots.v1_5_0.PCIeSlots", "Id": "PCIeSlots"}
    bare = {"@odata.type": "#Chassis.v1_22_0.Chassis", "SerialNumber": " "}
    assert list(items({"/a/GPU_0": GPU, "/b": software, "/c": slots, "/d": bare, "/e": 7})) == [
        Item("Module_0/GPU_0", "GPU", "G1", {"": "97"}, "gpu"),
        Item("BMC", firmware={"BMC": "26.1"}, kind="SoftwareInventory"),
    ]


def test_without_a_label_the_id_says_where() -> None:
    (one,) = items({"/redfish/v1/Chassis/PDB_0": {**GPU, "Location": None}})
    assert one.position == "PDB_0"


@given(st.dictionaries(st.text(), st.dictionaries(st.sampled_from(list(GPU)), json_values)))
def test_whatever_comes_is_read(resources: Any) -> None:
    assert all(len(one.position) <= 255 for one in items(resources))


def test_one_real_trays_devices_are_the_parts_of_one_serial() -> None:
    if not SAMPLE.exists():
        pytest.skip("the sample files are not beside this checkout")
    read = list(items(json.loads(SAMPLE.read_text())))
    built = [Built("MODULE1", "699-2G548-0301-B00", "2725092564556"), Built("MODULE2", "699-2G548-0301-B00", "X-1")]
    slots = compare(built, read, None)
    found = [one for one in slots if one.built and one.built.path == "MODULE1"]
    assert len(found) >= 4  # both GPUs, the module and the board share one serial
    assert {one.verdict for one in found} == {"match"}
    assert [one.position for one in slots if one.verdict == "missing"] == ["MODULE2"]
    assert all(one.serial != "NA" for one in (slot.found for slot in found) if one)
