"""Product documents: what is read, every mistake with its place, one stable form."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mes.domain.identity import is_placeholder
from mes.domain.product import Alternate, BomLine, Characteristic, Connection, Definition, Firmware, Step
from mes.domain.product_check import check_against
from mes.formats.product_document import (
    InvalidDefinition,
    digest,
    from_document,
    from_json,
    from_yaml,
    load,
    to_document,
)

PRODUCTS = Path(__file__).parents[2] / "deploy" / "products"


def problems(document: Any) -> dict[str, str]:
    with pytest.raises(InvalidDefinition) as caught:
        from_document(document)
    return dict(caught.value.problems)


def cable(**changes: Any) -> dict[str, Any]:
    return {
        "part": "CBL-1",
        "revision": "A",
        "name": "Cable",
        "family": "cabling",
        "source": "made",
        "tracking": "serial",
        "bom": [{"position": "J1", "part": "CON-1"}, {"positions": ["J2", "J3"], "part": "CON-2", "quantity": 2.5}],
        "route": [
            {"step": "crimp", "station_kind": "press", "installs": ["J1"]},
            {"step": "test", "station_kind": "tester", "after": ["crimp"], "needs": ["netlist", "leakage"]},
        ],
        "characteristics": [{"name": "leakage", "unit": "mA", "high": 1}],
        "netlist": [{"from": "A1", "to": "B1", "ohms_max": 0.1}],
        "firmware": [{"kind": "marker", "name": "eeprom", "version": "1.0"}],
        **changes,
    }


def test_a_full_document_becomes_a_definition():
    definition = from_document(cable())
    assert definition.bom[1] == BomLine(("J2", "J3"), "CON-2", quantity=Decimal("2.5"))
    assert definition.route[1].needs == ("netlist", "leakage")
    assert definition.characteristics == (Characteristic("leakage", "mA", high=1.0),)
    assert definition.netlist == (Connection("A1", "B1", 0.1),)
    assert definition.firmware == (Firmware("eeprom", ("1.0",), kind="marker"),)


def test_all_problems_come_at_once():
    found = problems(
        cable(
            part=None,
            family="cables",
            colour="red",
            bom=[{"position": "J1", "positions": ["J1"], "part": 7}, "J2"],
            route=[{"step": "crimp", "station_kind": "press", "min_s": "fast", "attempts": 1.5, "signed": "yes"}],
            characteristics=[{"name": "leakage", "high": float("nan"), "low": 10**400, "equals": []}],
            netlist=None,
        )
    )
    assert found.keys() == {
        "part",
        "family",
        "colour",
        "bom[0].positions",
        "bom[0].part",
        "bom[1]",
        "route[0].min_s",
        "route[0].attempts",
        "route[0].signed",
        "characteristics[0].high",
        "characteristics[0].low",
        "characteristics[0].equals",
        "netlist",
    }
    assert found["bom[0].part"] == "is 7; give a text; write it in quotes"
    assert "'cables' is not known; use rack" in found["family"]


@pytest.mark.parametrize("document", [None, [], "x", 1, float("nan"), {}, {"part": {}}])
def test_what_is_no_definition_at_all_is_refused(document: Any):
    assert problems(document)


def test_a_missing_section_has_no_consequences_elsewhere():
    assert problems(cable(characteristics=7)).keys() == {"characteristics"}


def test_deep_nesting_is_refused_in_any_form():
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    assert problems(cable(bom=deep)).keys() == {"bom[0]"}
    for read, text in (
        (from_json, "[" * 10_000),
        (from_json, '{"part":' * 10_000),
        (from_yaml, "[" * 10_000),
        (from_yaml, "{a: " * 10_000),
        (from_yaml, "- " * 10_000),
        (from_yaml, "a: " + "[" * 10_000 + "]" * 10_000),
    ):
        with pytest.raises(InvalidDefinition):
            read(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &a [1]\nb: [2]", "line 1: uses an anchor"),
        ("a: *a", "line 1: uses an anchor"),
        ("a: 1\nb: !!python/object:os.system x", "line 2: uses a tag"),
        ("a: !mine {}", "line 1: uses a tag"),
        ("a: 1\n---\nb: 2", "line 2: begins a second document"),
        ("? [a]\n: 1", "line 1: has a list or mapping as key"),
        ("a: [", "is no YAML"),
        ("\x00", "is no YAML"),
        (b"\xff", "is no UTF-8"),
    ],
)
def test_yaml_takes_no_magic(text: str | bytes, why: str):
    with pytest.raises(InvalidDefinition, match=why):
        from_yaml(text)


def test_duplicate_keys_are_named():
    with pytest.raises(InvalidDefinition) as caught:
        from_yaml("part: A\nname: x\npart: B\nname: y\n")
    assert [problem.place for problem in caught.value.problems] == ["line 3", "line 4"]
    with pytest.raises(InvalidDefinition, match="part: is given a second time"):
        from_json('{"part": "A", "part": "B"}')


def test_yaml_words_that_are_no_truths_stay_texts():
    text = "part: NO\nrevision: 007\nname: on\nfamily: component\nsource: bought\ntracking: lot\n"
    definition = from_yaml(text)
    assert (definition.part, definition.revision, definition.name) == ("NO", "007", "on")


def test_a_numeric_revision_is_its_digits():
    assert from_document(cable(revision=2)).revision == "2"
    assert "write it in quotes" in problems(cable(revision=1.1))["revision"]


def test_a_cut_sheet_comes_as_text_or_file(tmp_path: Path):
    sheet = "Source,,Destination,,Cable Length\nRack,Label,Rack,Label,\n1,P1,2,P2,3m\n"
    base = {name: value for name, value in cable().items() if name != "netlist"}
    expected = (Connection("P1", "P2", length="3m"),)
    assert from_document({**base, "netlist_csv": sheet}).netlist == expected
    (tmp_path / "sheet.csv").write_text(sheet)
    (tmp_path / "cable.json").write_text(json.dumps({**base, "netlist_file": "sheet.csv"}))
    assert load(tmp_path / "cable.json").netlist == expected
    assert "netlist_csv" in problems({**base, "netlist_file": "sheet.csv"})["netlist_file"]
    (tmp_path / "cable.yaml").write_text(json.dumps({**base, "netlist_file": "none.csv"}))
    with pytest.raises(InvalidDefinition, match="can't be read"):
        load(tmp_path / "cable.yaml")


def test_the_digest_forgets_how_it_was_written():
    one = from_document(cable(characteristics=[{"name": "leakage", "unit": "mA", "high": 1}]))
    other = from_yaml(json.dumps(cable(characteristics=[{"high": 1.0, "unit": "mA", "name": "leakage", "low": None}])))
    assert digest(one) == digest(other)
    assert len(digest(one)) == 64
    assert digest(one) != digest(from_document(cable(name="Cable 2")))


names = st.text("ABCDEFGHJKLMNP0123456789-._", min_size=1, max_size=8).filter(lambda text: not is_placeholder(text))
numbers = st.floats(-1e6, 1e6)
quantities = st.integers(1, 10**14).map(lambda whole: Decimal(whole) / 10**6).map(Decimal.normalize)


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    positions = draw(st.lists(names, unique=True, min_size=1, max_size=5))
    steps = draw(st.lists(names, unique=True, min_size=1, max_size=4))
    part, child = draw(st.lists(names, unique=True, min_size=2, max_size=2))
    alternate = Alternate(draw(names.filter(lambda name: name != part)), draw(st.none() | names))
    route = tuple(
        Step(step, "kind", tuple(steps[:index]), min_s=draw(st.none() | st.floats(0, 1e6)), signed=draw(st.booleans()))
        for index, step in enumerate(steps)
    )
    equals = draw(st.none() | st.booleans() | numbers | st.just("text"))
    return Definition(
        part,
        draw(names),
        "name",
        "cabling",
        bom=(BomLine(tuple(positions), child, (alternate,), draw(quantities), draw(st.none() | st.just(steps[0]))),),
        route=route,
        characteristics=(
            Characteristic("c", "V", equals=equals),
            Characteristic("d", low=draw(numbers), beyond_s=draw(st.none() | st.floats(0, 1e6))),
        ),
        netlist=(Connection("A", "B", draw(st.none() | st.floats(1e-9, 1e9)), draw(st.none() | names)),),
    )


@settings(max_examples=60)
@given(definitions())
def test_a_definition_survives_its_document(definition: Definition):
    document = to_document(definition)
    assert from_document(document) == definition
    assert from_json(json.dumps(document)) == definition
    assert digest(from_yaml(json.dumps(document))) == digest(definition)


@pytest.mark.parametrize("path", sorted(PRODUCTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_products_delivered_are_valid(path: Path):
    definition = load(path)
    assert from_document(to_document(definition)) == definition


def test_the_products_delivered_fit_each_other():
    products = {one.part: one for one in map(load, sorted(PRODUCTS.glob("*.yaml")))}
    assert [problem for one in products.values() for problem in check_against(one, products)] == []
