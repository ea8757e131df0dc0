"""Who was where: each rule of the first layer by an example."""

from decimal import Decimal

import pytest

from mes.domain.as_built import fit, is_fitting, position_changes
from mes.domain.assembly import Assembly, Stay, fold_assembly
from mes.domain.facts import Entry, PartInstalled, PartRemoved, in_order
from mes.domain.product import Definition
from mes.domain.refusals import Reason
from tests.domain.floor_stories import BOARD, TRAY, at, done, install, lot, remove, said, unlot
from tests.domain.incremental_floor import changes_of


def whereabouts(*entries: Entry) -> list[tuple[str | None, str, int, int | None]]:
    """Who was where from which minute to which."""
    return [
        (stay.child or stay.lot, f"{stay.parent}/{stay.position}", minute(stay), minute_left(stay))
        for stay in fold_assembly(entries).stays
    ]


def minute(stay: Stay) -> int:
    return int((stay.since - at(0)).total_seconds() // 60)


def minute_left(stay: Stay) -> int | None:
    return None if stay.until is None else int((stay.until - at(0)).total_seconds() // 60)


def noted(entry: Entry, *others: Entry) -> tuple[Reason, ...]:
    return fold_assembly([entry, *others]).deviations.get(entry.key, ())


def codes(entry: Entry, *others: Entry) -> list[str]:
    return [one.code for one in noted(entry, *others)]


def test_an_install_begins_a_stay_and_a_removal_ends_it() -> None:
    assert whereabouts(install(1, "t1", "B1", "b1"), remove(3, "t1", "B1", "b1")) == [("b1", "t1/B1", 1, 3)]


def test_a_stay_names_the_entries_that_began_and_ended_it() -> None:
    into, out = install(1, "t1", "B1", "b1", maker="Acme"), remove(3, "t1", "B1", "b1")
    (stay,) = fold_assembly([out, into]).stays
    assert (stay.installed_by, stay.removed_by, stay.maker, stay.quantity) == (into.key, out.key, "Acme", None)


def test_a_second_scan_of_the_same_place_changes_nothing() -> None:
    first, second = install(1, "t1", "B1", "b1"), install(2, "t1", "B1", "b1")
    assert whereabouts(first, second) == [("b1", "t1/B1", 1, None)]
    assert codes(second, first) == ["already_installed"]


def test_a_part_scanned_elsewhere_has_left_where_it_was() -> None:
    first, second = install(1, "t1", "B1", "b1"), install(2, "t2", "B2", "b1")
    assert whereabouts(first, second) == [("b1", "t1/B1", 1, 2), ("b1", "t2/B2", 2, None)]
    assert noted(second, first)[0].facts == {"parent": "t1", "position": "B1"}
    assert fold_assembly([first, second]).stays[1].deviations == ("already_installed",)


def test_the_newest_part_in_a_position_is_the_one_there() -> None:
    first, second = install(1, "t1", "B1", "b1"), install(2, "t1", "B1", "b2")
    assert whereabouts(first, second) == [("b1", "t1/B1", 1, 2), ("b2", "t1/B1", 2, None)]
    (why,) = noted(second, first)
    assert (why.code, why.facts["child"]) == ("position_occupied", "b1")


def test_a_part_may_both_leave_its_place_and_push_another_out() -> None:
    story = [install(1, "t1", "B1", "b1"), install(1, "t1", "B2", "b2"), install(2, "t1", "B2", "b1")]
    assert whereabouts(*story) == [("b1", "t1/B1", 1, 2), ("b2", "t1/B2", 1, 2), ("b1", "t1/B2", 2, None)]
    assert codes(story[2], *story[:2]) == ["already_installed", "position_occupied"]


@pytest.mark.parametrize(("parent", "child"), [("rack", "rack"), ("b1", "rack"), ("t1", "rack"), ("b1", "t1")])
def test_nothing_is_installed_into_itself_or_into_what_it_contains(parent: str, child: str) -> None:
    tree = [install(1, "rack", "U1", "t1"), install(1, "t1", "B1", "b1")]
    circle = install(2, parent, "B2", child)
    assert len(whereabouts(*tree, circle)) == 2
    assert codes(circle, *tree) == ["contains_itself"]


def test_what_left_may_hold_its_former_parent() -> None:
    story = [install(1, "rack", "U1", "t1"), remove(2, "rack", "U1", "t1"), install(3, "t1", "B1", "rack")]
    assert codes(story[2], *story[:2]) == []


def test_a_removal_from_where_the_part_is_not_changes_nothing() -> None:
    into, elsewhere, never = install(1, "t1", "B1", "b1"), remove(2, "t1", "B2", "b1"), remove(2, "t1", "B1", "b9")
    assert whereabouts(into, elsewhere, never) == [("b1", "t1/B1", 1, None)]
    assert codes(elsewhere, into) == codes(never, into) == ["not_installed"]


def test_at_one_time_the_old_part_leaves_before_the_new_one_comes() -> None:
    story = [install(1, "t1", "B1", "b1"), install(5, "t1", "B1", "b2"), remove(5, "t1", "B1", "b1")]
    assert whereabouts(*story) == [("b1", "t1/B1", 1, 5), ("b2", "t1/B1", 5, None)]
    assert fold_assembly(story).deviations == {}


def test_a_stay_that_ended_when_it_began_leaves_no_trace_but_its_effects() -> None:
    story = [install(1, "t1", "B1", "b1"), install(5, "t1", "B1", "b2"), install(5, "t2", "B1", "b2")]
    assert whereabouts(*story) == [("b1", "t1/B1", 1, 5), ("b2", "t2/B1", 5, None)]


def test_who_stored_a_stay_that_never_was_is_told_to_forget_it() -> None:
    assembly = Assembly()
    (opened,) = assembly.apply(install(5, "t1", "B1", "b2")).opened
    change = assembly.apply(install(5, "t2", "B1", "b2"))
    assert [stay.installed_by for stay in change.voided] == [opened.installed_by]
    assert change.closed == ()


def test_lots_mix_in_one_position_and_leave_by_lot() -> None:
    story = [lot(1, "t1", "SCREWS", "a"), lot(2, "t1", "SCREWS", "b"), lot(3, "t1", "SCREWS", "a")]
    assert whereabouts(*story, unlot(4, "t1", "SCREWS", "a")) == [
        ("a", "t1/SCREWS", 1, 4),
        ("b", "t1/SCREWS", 2, None),
        ("a", "t1/SCREWS", 3, 4),
    ]


def test_a_quantity_of_a_lot_leaves_first_in_first_out() -> None:
    story = [lot(1, "t1", "SCREWS", "a", 4), lot(2, "t1", "SCREWS", "a", 4), unlot(3, "t1", "SCREWS", "a", 6)]
    stays = [(minute(stay), minute_left(stay), stay.quantity) for stay in fold_assembly(story).stays]
    assert stays == [(1, 3, Decimal(4)), (2, 3, Decimal(4)), (3, None, Decimal(2))]
    rest = fold_assembly(story).stays[2]
    assert rest.installed_by == story[1].key


def test_what_is_left_of_a_lot_is_still_first_in_line() -> None:
    story = [lot(1, "t1", "SCREWS", "a", 4), lot(2, "t1", "SCREWS", "a", 4)]
    out = [unlot(3, "t1", "SCREWS", "a", 1), unlot(4, "t1", "SCREWS", "a", 3)]
    left = [stay for stay in fold_assembly([*story, *out]).stays if stay.until is None]
    assert [(stay.installed_by, stay.quantity) for stay in left] == [(story[1].key, Decimal(4))]


def test_taking_out_more_than_there_is_takes_all_and_says_how_much_was_missing() -> None:
    into, out = lot(1, "t1", "SCREWS", "a", 4), unlot(2, "t1", "SCREWS", "a", 5)
    assert whereabouts(into, out) == [("a", "t1/SCREWS", 1, 2)]
    assert noted(out, into)[0].facts["quantity"] == "1"


def test_a_quantity_can_not_be_taken_from_an_unknown_one() -> None:
    into, out = lot(1, "t1", "SCREWS", "a", None), unlot(2, "t1", "SCREWS", "a", 1)
    assert whereabouts(into, out) == [("a", "t1/SCREWS", 1, None)]
    assert codes(into) == codes(out, into) == ["quantity_missing"]


def test_a_lot_that_is_not_there_can_not_be_taken_out() -> None:
    assert codes(unlot(2, "t1", "SCREWS", "a"), lot(1, "t1", "SCREWS", "b")) == ["not_installed"]


def test_material_without_a_lot_is_told_apart_by_its_part_number() -> None:
    ties, tape = (
        said(1, PartInstalled("t1", "SCREWS", None, None, part, quantity=Decimal(1))) for part in ("TIE", "TAPE")
    )
    out = said(2, PartRemoved("t1", "SCREWS", None, None, "TIE"))
    assert [stay.part for stay in fold_assembly([ties, tape, out]).stays if stay.until is None] == ["TAPE"]
    assert codes(ties) == []


def test_other_entries_are_none_of_its_business() -> None:
    assert Assembly().apply(done(1, "build")) == ((), (), (), ())


def test_a_slice_that_was_open_before_is_folded_on() -> None:
    before = fold_assembly([install(1, "t1", "B1", "b1"), lot(1, "t1", "SCREWS", "a")]).stays
    after = fold_assembly([install(2, "t1", "B1", "b2")], before).stays
    assert sorted((stay.child or stay.lot or "", stay.until is None) for stay in after) == [
        ("a", True),
        ("b1", False),
        ("b2", True),
    ]


def test_a_part_fits_where_its_line_approves_it() -> None:
    def why(definition: Definition | None, *where: str) -> list[str]:
        return [one.code for one in fit(definition, *where)]

    assert why(TRAY, "B1", "BOARD") == why(TRAY, "B1", "BOARD-X", "Acme") == why(None, "B1", "ANY") == []
    assert why(TRAY, "B1", "BOARD-X", "Other") == why(TRAY, "B1", "M3") == ["wrong_part"]
    assert why(TRAY, "B9", "BOARD") == why(BOARD, "B1", "BOARD") == ["position_unknown"]
    assert not is_fitting(TRAY, "B9", fold_assembly([install(1, "t1", "B9", "b1")]).stays)
    assert is_fitting(None, "B9", fold_assembly([install(1, "t1", "B9", "b1")]).stays)


@pytest.mark.parametrize(("quantity", "enough"), [(3, False), (4, True), (5, True), (None, True)])
def test_a_position_wants_enough_of_a_lot(quantity: int | None, enough: bool) -> None:
    assert is_fitting(TRAY, "SCREWS", fold_assembly([lot(1, "t1", "SCREWS", "a", quantity)]).stays) is enough


def test_lots_add_up_and_one_wrong_part_spoils_the_position() -> None:
    two = [lot(1, "t1", "SCREWS", "a", 2), lot(1, "t1", "SCREWS", "b", 2)]
    assert is_fitting(TRAY, "SCREWS", fold_assembly(two).stays)
    assert not is_fitting(TRAY, "SCREWS", fold_assembly([*two, lot(1, "t1", "SCREWS", "c", 2, part="M4")]).stays)


STORY = [
    install(1, "t1", "B1", "b1"),
    lot(1, "t1", "SCREWS", "a", 4),
    lot(2, "t1", "SCREWS", "b", 4),
    install(3, "t1", "B1", "b2"),
    unlot(4, "t1", "SCREWS", "a", 2),
    unlot(5, "t1", "SCREWS", "a", 2),
    install(6, "t2", "B1", "b2"),
    unlot(7, "t1", "SCREWS", "b"),
]


def test_stored_stays_say_the_same_of_positions_as_each_change_did() -> None:
    assembly = Assembly()
    told = [
        change
        for entry in in_order(STORY)
        for change in changes_of(assembly, entry.key, assembly.apply(entry), {"t1": TRAY, "t2": TRAY}.get)
        if change.unit == "t1"
    ]
    stored = [stay for stay in fold_assembly(STORY).stays if stay.parent == "t1"]
    assert position_changes(stored, TRAY) == told
    assert [(one.content, one.fits, one.taken_out) for one in told] == [
        ("b1", True, False),
        ("a", True, False),
        ("a+b", True, False),
        ("b2", True, True),
        ("a+b", True, False),
        ("b", True, False),
        (None, False, True),
        (None, False, True),
    ]
