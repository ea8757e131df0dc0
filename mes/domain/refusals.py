"""The words for why not: stable codes with a sentence each.

The same codes answer a request (a *refusal*) and are noted on a fact that happened all the same (a *deviation*).
Nothing here knows HTTP or MQTT; `mes.rest.errors` maps codes to statuses in one table.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

SENTENCES: Mapping[str, str] = {
    # identity
    "unknown_unit": "No unit or lot has this serial yet.",
    "unknown_part": "No product definition or bill of materials names this part number.",
    "unknown_station": "No station of this name is registered.",
    "unknown_order": "No work order has this number.",
    "unknown_product": "No product definition exists for this part and revision.",
    "unknown_hold": "No hold has this id.",
    "unknown_line": "No line has this name.",
    "unknown_message": "No message has this key.",
    "unknown_run": "No run has this id.",
    "unknown_nonconformance": "No nonconformance has this id.",
    "ambiguous_serial": "Several parts share this serial; name the part.",
    "placeholder_serial": "This text is what unprogrammed hardware reports, not a serial.",
    "serial_taken": "Another unit of this part already has this serial.",
    # route
    "wrong_step": "The unit's route has no such step.",
    "wrong_station_kind": "This step is done at another kind of station.",
    "predecessor_open": "A step that must come first has not passed.",
    "already_open": "The step is already in progress.",
    "already_passed": "The step has already passed.",
    "attempts_used": "All allowed attempts failed; the unit needs a disposition.",
    "too_early": "The step ended before its minimum duration.",
    "not_asked": "The step started without a grant.",
    "grant_ended": "The grant has ended; ask under a new id.",
    "on_hold": "The unit, or something it depends on, is on hold.",
    "as_built_incomplete": "A required position is empty or holds a part that is not approved for it.",
    "steps_open": "A required step has not passed.",
    "unit_closed": "The unit is scrapped or shipped.",
    "not_made_here": "The unit is a bought part and has no route.",
    "not_nonconforming": "The nonconformance is already closed.",
    "operator_missing": "This step must name its operator.",
    "part_taken_out": "A part was taken out while the step was in progress.",
    "nonconformance_open": "A nonconformance of the unit is not settled.",
    # assembly
    "wrong_part": "This part is not approved for the position.",
    "position_unknown": "The parent has no such position.",
    "position_occupied": "Another part was recorded in the position.",
    "already_installed": "The part was already recorded as installed.",
    "not_installed": "The part was not recorded in this position.",
    "contains_itself": "A unit can't be installed into itself or into something it contains.",
    "not_received": "The part was never received.",
    "quantity_missing": "A lot is installed with a quantity.",
    "serial_missing": "Parts of this number have serials; name the one that was installed.",
    # material at stations
    "not_loaded": "No lot of the part was loaded at the station then, so the lot is not known.",
    "lot_ambiguous": "Several lots of the part were loaded at the station then; it is one of them.",
    "already_loaded": "The lot was already recorded as loaded there.",
    "lot_replaced": "Another lot was recorded there; it counts as unloaded from this moment on.",
    "failed_part": "The part has not passed its own route.",
    "nothing_to_install": "Every position that this step installs is filled.",
    "part_not_named": "The position takes several parts, and this serial is new; scan the part number first.",
    # messages
    "unreadable": "The message can't be read.",
    "too_large": "The message is larger than allowed.",
    "unit_mismatch": "The message names another unit than its run does.",
    "conflicting_report": "The same event was reported before with other content.",
    "facts_pending": "A fact about the unit has not been applied yet.",
    "clock_skew": "The station's clock differs from the MES's.",
    "not_applied": "The MES could not apply the message; the fault is not its sender's.",
    "wrong_source": "A station may speak under its own name only.",
    "crashed_repeatedly": "The message was delivered several times without being settled.",
    "lines_unreadable": "Lines of the run can't be read.",
    "sequence_gap": "Lines of the run are missing.",
    "unknown_characteristic": "The product definition does not name this measurement.",
    # judgement of a run
    "values_unreadable": "Values came that can't be read, and the station claims a pass.",
    "claim_kept": "The station did not finish the test; its values are kept, not judged.",
    "claim_failed": "The station says that the product failed.",
    "measurement_claimed_failed": "The station says that a measurement failed.",
    "limit_broken_live": "Telemetry lay beyond its limits for longer than it may: the run has failed.",
    "limit_broken": "A measurement is outside its limits.",
    "connection_differs": "A connection differs from the netlist.",
    "connection_not_tested": "A connection of the netlist was not tested.",
    "characteristic_missing": "A characteristic that the step needs was not measured.",
    "wrong_type": "A measurement is not of the type that its characteristic has.",
    "not_finite": "A measurement is not a finite number.",
    "unit_not_convertible": "A measurement's unit does not convert exactly to the characteristic's.",
    "defects_claimed_pass": "The station reported defects and claims pass.",
    # orders and requests
    "work_order_closed": "The work order is closed or cancelled.",
    "work_order_held": "The work order is on hold.",
    "move_not_allowed": "This can't be done in the present state.",
    "order_conflict": "The work order exists with other content.",
    "definition_conflict": "A released definition never changes; make a new revision.",
    "below_started": "The quantity can't be less than what is already started.",
    "version_mismatch": "Someone else changed it since; read it again.",
    "not_serialized": "Only a serialized made part can be ordered.",
    "serials_mismatch": "The serials given don't match the quantity.",
    "invalid": "Something in the request is wrong.",
    "serials_missing": "The order names no serials and its product has no serial pattern.",
    "serials_exhausted": "The product's serial pattern has no numbers left.",
    "second_person_needed": "Use as is must be signed by someone other than who diagnosed it.",
    "unauthenticated": "The request carries no valid token; send one as Authorization: Bearer.",
    "forbidden": "The token's role may not do this.",
    "not_found": "Nothing is at this address.",
    "method_not_allowed": "This address does not take this method.",
    "unsupported_media_type": "The body must be application/json.",
    "malformed_json": "The body can't be read as JSON.",
    "precondition_required": "Say which version you changed: If-Match with the ETag you read.",
    "unavailable": "The database can't be reached or is too busy; try again.",
    "history_closed": "This MES takes no history: what is decided is decided now.",
    "internal_error": "The MES failed; the request id finds why in its log.",
    # reserved for rules that later tables add
    "expired_calibration": "The station's calibration is past due.",
    "operator_not_qualified": "The operator is not qualified for this step.",
    "program_not_approved": "The test program is not approved for this step.",
    "firmware_mismatch": "Firmware differs from the product's baseline.",
}


TOLD: Mapping[str, str] = {
    "unknown_unit": "No unit has the serial {serial} yet.",
    "unknown_order": "No work order has the number {number}.",
    "wrong_step": "The unit's route has no step {step}; it has {steps}.",
    "wrong_station_kind": "{step} is done at a {wanted}, and this is a {is_kind}.",
    "predecessor_open": "{steps} must pass before {step}.",
    "already_open": "{step} is already in progress at {stations}.",
    "already_passed": "{step} has already passed.",
    "attempts_used": "All {attempts} allowed attempts of {step} failed; the unit needs a disposition.",
    "too_early": "{step} took {took_s:g} s where it takes at least {min_s:g} s.",
    "as_built_incomplete": "Empty, or holding what is not approved or not enough: {positions}.",
    "steps_open": "Not passed yet: {steps}.",
    "unit_closed": "The unit is {state}.",
    "operator_missing": "{step} must name its operator.",
    "wrong_part": "{part} is not approved for {position}; {wanted} is.",
    "position_unknown": "The parent has no position {position}.",
}
"""The same, said with the facts, where all of them are there: what a person at a station needs to go on."""


class Reason(NamedTuple):
    """One reason: a stable code, a sentence a person can act on, and the facts behind it."""

    code: str
    text: str
    facts: dict[str, Any]


def reason(code: str, text: str | None = None, /, **facts: Any) -> Reason:
    """A reason with the code's own sentence unless a better one is given."""
    return Reason(code, text or _told(code, facts), facts)


def _told(code: str, facts: Mapping[str, Any]) -> str:
    template = TOLD.get(code)
    if template is None:
        return SENTENCES[code]
    shown = {name: ", ".join(map(str, one)) if isinstance(one, list | tuple) else one for name, one in facts.items()}
    if "" in shown.values():
        return SENTENCES[code]
    try:
        return template.format_map(shown)
    except (KeyError, ValueError):
        return SENTENCES[code]


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A request can't be done. Carries every reason at once; knows no HTTP."""

    def __init__(self, *reasons: Reason) -> None:
        super().__init__("; ".join(one.text for one in reasons))
        self.reasons = reasons


def refuse(code: str, text: str | None = None, /, **facts: Any) -> Refusal:
    """A refusal with a single reason."""
    return Refusal(reason(code, text, **facts))
