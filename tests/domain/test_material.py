"""Lots at stations: loaded, replaced, unloaded, and taken by installations that name none."""

from decimal import Decimal

from mes.domain.as_built import position_changes
from mes.domain.assembly import Stay
from mes.domain.facts import Entry, PartInstalled, PartRemoved
from mes.domain.floor import Floor, fold_floor
from mes.domain.hold import LOT, Hold
from mes.domain.material import Loading, fold_material, with_lot
from mes.domain.product import Alternate, BomLine, Definition
from tests.domain.floor_stories import TRAY, at, draw, load, lot, said, start, unload, unlot


def told(*entries: Entry) -> list[tuple[str, str | None, object, object]]:
    """Each loading: lot, place, since, until."""
    return [(one.lot, one.place, one.since, one.until) for one in fold_material(entries).loadings]


def odd(*entries: Entry) -> list[str]:
    found = fold_material(entries).deviations
    return [one.code for entry in entries for one in found.get(entry.key, ())]


def floor(*entries: Entry) -> Floor:
    return fold_floor({"t1": TRAY, "t2": TRAY}, entries)


def stays(*entries: Entry) -> list[tuple[str | None, tuple[str, ...]]]:
    """The lot of each stay, and the lots that it was taken from."""
    return [(stay.lot, stay.loaded) for stay in floor(*entries).stays]


def only(*entries: Entry) -> Stay:
    (stay,) = floor(*entries).stays
    return stay


def test_a_lot_is_loaded_until_it_is_unloaded() -> None:
    assert told(load(1, "lot7"), unload(3, "lot7", quantity=Decimal(12))) == [("lot7", None, at(1), at(3))]
    (loading,) = fold_material([load(1, "lot7"), unload(3, "lot7", quantity=Decimal(12))]).loadings
    assert loading.left == 12


def test_the_newer_lot_at_a_place_ends_the_older() -> None:
    first, second = load(1, "lot7"), load(3, "lot8")
    assert told(first, second) == [("lot7", None, at(1), at(3)), ("lot8", None, at(3), None)]
    assert odd(first, second) == ["lot_replaced"]
    assert told(load(1, "lot7", place="F1"), load(3, "reel", "JUNK", place="F1")) == [
        ("lot7", "F1", at(1), at(3)),
        ("reel", "F1", at(3), None),
    ]


def test_a_station_has_one_unnamed_place_for_each_part_number() -> None:
    both = load(1, "lot7"), load(2, "reel", "JUNK")
    assert odd(*both) == []
    assert len([one for one in fold_material(both).loadings if one.until is None]) == 2


def test_the_same_lot_again_changes_nothing() -> None:
    twice = load(1, "lot7"), load(2, "lot7")
    assert told(*twice) == [("lot7", None, at(1), None)]
    assert odd(*twice) == ["already_loaded"]


def test_what_was_not_loaded_is_not_unloaded() -> None:
    assert odd(load(1, "lot7"), unload(2, "lot8")) == ["not_loaded"]
    assert odd(load(1, "lot7", place="F1"), unload(2, "lot7", place="F2")) == ["not_loaded"]
    assert odd(load(1, "lot7", station="x"), unload(2, "lot7", station="y")) == ["not_loaded"]


def test_a_lot_at_two_places_is_unloaded_from_one_or_from_both() -> None:
    both = [load(1, "lot7", place="F1"), load(1, "lot7", place="F2")]
    assert [one.until for one in fold_material([*both, unload(2, "lot7", place="F2")]).loadings] == [None, at(2)]
    assert [one.until for one in fold_material([*both, unload(2, "lot7")]).loadings] == [at(2), at(2)]


def test_at_one_moment_the_old_lot_goes_before_the_new_one_comes() -> None:
    swap = [load(1, "lot7"), load(2, "lot8"), unload(2, "lot7")]
    assert odd(*swap) == []
    assert told(*swap) == [("lot7", None, at(1), at(2)), ("lot8", None, at(2), None)]


def test_a_lot_that_was_loaded_for_no_time_was_not_there() -> None:
    assert len(told(load(1, "lot7"), load(1, "lot8"))) == 1


def test_an_installation_takes_the_lot_that_is_loaded_then() -> None:
    reels = load(1, "lot7"), load(3, "lot8"), unload(5, "lot8")
    assert only(*reels, draw(2)).lots == ("lot7",)
    assert only(*reels, draw(3)).lots == ("lot8",)
    assert only(*reels, draw(1)).lots == ("lot7",)
    assert only(*reels, draw(5)).lots == ()
    assert only(*reels, draw(0)).lots == ()


def test_a_lot_that_was_named_is_what_was_named() -> None:
    stay = only(load(1, "lot7"), lot(2, "t1", "SCREWS", "lot8"))
    assert (stay.lot, stay.loaded) == ("lot8", ())


def test_a_lot_at_another_station_or_of_another_part_is_not_taken() -> None:
    assert only(load(1, "lot7", station="y"), draw(2)).lots == ()
    assert only(load(1, "lot7", "JUNK"), draw(2)).lots == ()


def test_of_several_lots_it_is_one() -> None:
    story = load(1, "lot8", place="F1"), load(1, "lot7", place="F2"), draw(2)
    stay = only(*story)
    assert (stay.lot, stay.loaded, stay.deviations) == (None, ("lot7", "lot8"), ("lot_ambiguous",))
    (change,) = position_changes([stay], TRAY)
    assert (change.content, change.fits) == ("lot7+lot8", True)
    assert only(load(1, "lot7", place="F1"), load(1, "lot7", place="F2"), draw(2)).lot == "lot7"


def test_a_hold_on_any_lot_that_it_may_be_of_concerns_the_unit() -> None:
    story = [load(1, "lot8", place="F1"), load(1, "lot7", place="F2"), draw(2), start(3, "build")]
    hold = Hold("h1", LOT, "lot8", "porous", at(0))
    noted = fold_floor({"t1": TRAY}, story, (hold,)).deviations[story[-1].key]
    assert "on_hold" in {one.code for one in noted}


def test_where_nothing_is_loaded_the_lot_is_not_known() -> None:
    entry = draw(2)
    assert only(entry).deviations == ("not_loaded",)
    assert [one.code for one in floor(entry).deviations[entry.key]] == ["not_loaded"]
    assert floor(entry).units["t1"][0].filled("SCREWS")


def test_of_bulk_no_lot_is_missed_and_one_that_is_loaded_is_taken() -> None:
    bulk = said(2, PartInstalled("t1", "SCREWS", None, None, "M3", quantity=Decimal(4), bulk=True))
    assert only(bulk).deviations == ()
    assert only(load(1, "lot7"), bulk).lots == ("lot7",)


def test_what_no_station_said_takes_nothing() -> None:
    what = PartInstalled("t1", "SCREWS", None, None, "M3", quantity=Decimal(4))
    entry = said(2, what, source="rest/x")
    assert with_lot(entry, fold_material([load(1, "lot7", station="rest/x")]).loadings) is entry


def test_a_maker_that_is_named_must_be_the_lots() -> None:
    def of(maker: str | None) -> Entry:
        return said(2, PartInstalled("t1", "SCREWS", None, None, "M3", maker, Decimal(4)))

    acme = load(1, "lot7", maker="Acme")
    assert only(acme, of("Acme")).lot == "lot7"
    assert only(acme, of("Bolt")).lot is None
    assert only(load(1, "lot7"), of("Bolt")).lot == "lot7"
    assert only(acme, of(None)).maker == "Acme"
    assert only(acme, load(1, "lot8", maker="Bolt", place="F2"), of(None)).maker is None


def test_an_alternate_of_one_maker_is_approved_by_the_lots_maker() -> None:
    line = BomLine(("PASTE",), "TIM-1", alternates=(Alternate("TIM-2", "Acme"),))
    definition = Definition(part="SINK", revision="A", name="Sink", family="thermal", bom=(line,))
    taken = draw(2, "s1", "PASTE", 1, "TIM-2")
    unfit = []
    for maker in ("Acme", "Bolt"):
        found = fold_floor({"s1": definition}, [load(1, "p7", "TIM-2", maker=maker), taken]).deviations
        unfit.append({one.code for one in found.get(taken.key, ())})
    assert unfit == [set(), {"wrong_part"}]


def test_taken_out_without_a_lot_means_whatever_is_there() -> None:
    story = [load(1, "lot7"), draw(2, quantity=3), load(3, "lot8"), draw(4, quantity=1)]
    gone = said(5, PartRemoved("t1", "SCREWS", None, None, "M3", Decimal(3)))
    left = [stay.lot for stay in floor(*story, gone).stays if stay.until is None]
    assert left == ["lot8"]


def test_taken_out_by_its_lot_means_what_is_or_may_be_of_it() -> None:
    drawn = [load(1, "lot7", place="F1"), load(1, "lot8", place="F2"), draw(2)]
    rest = [stay for stay in floor(*drawn, unlot(3, "t1", "SCREWS", "lot8", 1)).stays if stay.until is None]
    assert [(stay.lots, stay.quantity) for stay in rest] == [(("lot7", "lot8"), Decimal(3))]
    other = unlot(3, "t1", "SCREWS", "lot9", 1)
    assert [one.code for one in floor(*drawn, other).deviations[other.key]] == ["not_installed"]


def test_a_load_that_comes_late_changes_what_was_built_before_it_was_known() -> None:
    built = [draw(2), draw(4, "t2")]
    assert stays(*built) == [(None, ()), (None, ())]
    assert stays(*built, load(1, "lot7"), load(3, "lot8")) == [("lot7", ("lot7",)), ("lot8", ("lot8",))]


def test_open_loadings_carry_on_what_was_known_before() -> None:
    before = fold_material([load(1, "lot7")]).loadings
    whole = fold_material([load(2, "lot8")], before).loadings
    assert [(one.lot, one.until) for one in whole] == [("lot7", at(2)), ("lot8", None)]
    assert isinstance(whole[0], Loading)
