"""One transaction's worth of messages on their way into the record: gate, names, fold, journal, fates."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.entrance import Locking, Passage, at_any_time
from mes.commands.folding import Folded, Folding
from mes.commands.inventories import inventory_reasons
from mes.commands.journalling import Recorder
from mes.commands.live_failures import stop_of, tell_live_failures, watches
from mes.commands.recognition import Waiting, look_up, said_at
from mes.commands.recordings import Recordings
from mes.commands.translation import Translation, Translator, ticket
from mes.db import inbox
from mes.db.identifiers import identify, taken
from mes.db.inbox import APPLIED, DUPLICATE, PENDING, REJECTED, Body, Seen, Stored, Ticket
from mes.db.inventories import store_inventories
from mes.db.lots import receive_lots
from mes.db.runs import operator_numbers, store_runs
from mes.db.samples import store_stretches
from mes.db.stations import Heard, note_heard, note_status
from mes.domain.facts import PartInstalled, SamplesTaken, UnitIdentified
from mes.domain.live_limits import CODE
from mes.domain.refusals import Reason, reason
from mes.formats.messages import FOREIGN, TYPES, Arrived, Fate, Message, Unreadable, decode

KIND_OF = {name: kind for kinds in (TYPES, FOREIGN) for kind, types in kinds.items() for name in types}
"""The kind of topic that each type of message comes on."""


class Settled(NamedTuple):
    """What became of one message. `keyed_by` (id, sha256) says what `key` is."""

    station: str
    key: str
    keyed_by: str
    fate: Fate
    reasons: tuple[Reason, ...]


class Batch:
    """Settles messages in one open transaction; `at` is when they arrived (or, for pending ones, are tried again)."""

    def __init__(self, connection: AsyncConnection, site: str, at: datetime, passage: Passage | None = None) -> None:
        """`passage` keeps batches that overlap in their order."""
        self._passage = passage
        self.connection = connection
        self.site = site
        self.at = at
        self.bodies: list[Body] = []
        self.recorder = Recorder(connection, site, at)

    async def settle(self, arrived: Sequence[Arrived]) -> list[Settled]:
        """The fate of each message, in their order."""
        settled: dict[int, Settled] = {}
        messages: dict[int, Message] = {}
        for index, one in enumerate(arrived):
            if isinstance(one, Message):
                messages[index] = one
            else:
                settled[index] = self._reject(one)
        admitted = await self._gate(messages, settled)
        fates = await self._take_in(list(admitted.values()), [self.at] * len(admitted))
        settled.update(zip(admitted, fates, strict=True))
        _tell_alike(messages, admitted, settled)
        await self._keep_bodies()
        await self.recorder.write()
        await inbox.set_fates(
            self.connection,
            [(m.source, m.id, settled[i].fate) for i, m in admitted.items() if settled[i].fate != APPLIED],
        )
        await self._note_heard(messages.values())
        return [settled[index] for index in range(len(arrived))]

    async def settle_again(self, kept: Sequence[Stored]) -> list[Settled]:
        """Try kept messages again; returns those that are not pending any more."""
        again: list[tuple[Stored, Message]] = []
        for stored in kept:
            for read in decode(stored.station, stored.kind, stored.body):
                if isinstance(read, Message):
                    again.append((stored, read))
                else:  # by rules that were others when it came
                    await inbox.settle_kept(self.connection, stored.key, PENDING, read.reasons, (), self.at)
        messages = [message for _, message in again]
        fates = await self._take_in(messages, [stored.received_at for stored, _ in again])
        waits = {(body.source, body.id): body.waits_for for body in self.bodies}
        for (stored, message), one in zip(again, fates, strict=True):
            await inbox.settle_kept(
                self.connection, stored.key, one.fate, one.reasons, waits.get((message.source, message.id), ()), self.at
            )
        done = [(message, one) for message, one in zip(messages, fates, strict=True) if one.fate != PENDING]
        await inbox.set_fates(self.connection, [(message.source, message.id, one.fate) for message, one in done])
        return [one for _, one in done]

    async def set_aside(self, message: Message, why: tuple[Reason, ...]) -> None:
        """Keep a message as pending that can't be applied, so that those behind it go on."""
        await inbox.admit_as(self.connection, [ticket(message)], PENDING, self.at)
        self._keep(message, PENDING, why)
        await self._keep_bodies()
        await self.recorder.write()

    async def set_bytes_aside(self, one: Unreadable, why: tuple[Reason, ...]) -> None:
        """Keep the bytes of a message of which not even its claims can be stored."""
        self.bodies.append(Body(one.station, None, None, None, None, one.sha256, one.body, REJECTED, why[-1:], ()))
        await self._keep_bodies()
        await self.recorder.write()

    async def _keep_bodies(self) -> None:
        """Store what was not applied; what was kept before, because it came again, is not noted again."""
        for body in await inbox.keep(self.connection, self.bodies, self.at):
            self.recorder.note_message(body)

    def _reject(self, one: Unreadable) -> Settled:
        self.bodies.append(
            Body(one.station, None, one.source, one.id, one.type, one.sha256, one.body, REJECTED, one.reasons, ())
        )
        key, keyed_by = (one.id, "id") if one.id else (one.sha256, "sha256")
        return Settled(one.station, key, keyed_by, REJECTED, one.reasons)

    def _keep(
        self, message: Message, fate: Fate, reasons: tuple[Reason, ...], waits_for: Sequence[str] = ()
    ) -> Settled:
        sha256 = hashlib.sha256(message.body).hexdigest()
        self.bodies.append(
            Body(
                message.station,
                KIND_OF.get(message.type),
                message.source,
                message.id,
                message.type,
                sha256,
                message.body,
                fate,
                reasons,
                waits_for,
            )
        )
        return Settled(message.station, message.id, "id", fate, reasons)

    async def _gate(self, messages: dict[int, Message], settled: dict[int, Settled]) -> dict[int, Message]:
        """Let in what was never seen; settles the rest."""
        if not messages:
            return {}
        tickets = {index: ticket(message) for index, message in messages.items()}
        new = await inbox.admit(self.connection, list(tickets.values()), self.at)
        admitted: dict[int, Message] = {}
        again: dict[int, Ticket] = {}
        for index, one in tickets.items():
            if one.name in new:
                new.remove(one.name)
                admitted[index] = messages[index]
            else:
                again[index] = one
        if again:
            await self._settle_repeats(again, messages, settled)
        return admitted

    async def _settle_repeats(
        self, again: dict[int, Ticket], messages: dict[int, Message], settled: dict[int, Settled]
    ) -> None:
        before = await inbox.seen(self.connection, list(again.values()))
        by_name = {(one.source, one.id): one for one in before}
        by_nature = {one.natural_key: one for one in before if one.natural_key}
        for index, one in again.items():
            message = messages[index]
            same = by_name.get(one.name)
            if same:
                settled[index] = self._said_again(message, one, same)
                continue
            event = by_nature[one.natural_key or b""]
            is_repeat = event.content == one.content
            await inbox.admit_as(self.connection, [one], DUPLICATE if is_repeat else PENDING, self.at)
            if is_repeat:
                settled[index] = Settled(message.station, message.id, "id", DUPLICATE, ())
            else:
                settled[index] = self._keep(message, PENDING, (_conflict(message, event),))
            by_name[one.name] = Seen(*one.name, settled[index].fate, one.content, None)

    def _said_again(self, message: Message, one: Ticket, before: Seen) -> Settled:
        if before.content != one.content:
            text = f"Another message with the id {message.id} came before; every message needs an id of its own."
            return self._keep(message, REJECTED, (reason("conflicting_report", text, id=message.id),))
        fate: Any = before.fate if before.fate in (PENDING, REJECTED, inbox.DISMISSED) else DUPLICATE
        return Settled(message.station, message.id, "id", fate, ())

    async def _take_in(self, messages: Sequence[Message], received: Sequence[datetime]) -> list[Settled]:
        """Apply messages that are new to the record; those that must wait are kept."""
        if not messages:
            return []
        names = await look_up(self.connection, messages, self.at)
        operators = {one for message in messages if (one := getattr(message.data, "operator", None))}
        translator = Translator(names, await operator_numbers(self.connection, operators))
        settled: dict[int, Settled] = {}
        made: dict[int, Translation] = {}
        for index, message in enumerate(messages):
            try:
                made[index] = translator.translate(message, received[index])
                await self._refuse_taken(made[index])
            except Waiting as waiting:
                made.pop(index, None)
                settled[index] = self._keep(message, PENDING, (waiting.why,), waiting.waits_for)
        for index in await self._extend_recordings(made):
            settled[index] = Settled(messages[index].station, messages[index].id, "id", DUPLICATE, ())
        await self._apply(list(made.values()))
        for index, one in made.items():
            settled[index] = Settled(one.message.station, one.message.id, "id", APPLIED, _once(_answered(one)))
        return [settled[index] for index in range(len(messages))]

    async def _extend_recordings(self, made: dict[int, Translation]) -> list[int]:
        """Add lines of runs in progress to their recordings; takes out of `made` the messages that told nothing new."""
        streams = {index: one for index, one in made.items() if one.stream}
        if not streams:
            return []
        recordings = Recordings(self.connection, self.at)
        told = await recordings.extend(list(streams.values()))
        repeated = [index for index, is_new in zip(streams, told, strict=True) if not is_new]
        for index in repeated:
            del made[index]
        return repeated

    async def _refuse_taken(self, made: Translation) -> None:
        what = made.entry.what if made.entry else None
        if isinstance(what, UnitIdentified):
            already = await taken(self.connection, what.unit, what.identifiers)
            if already:
                shown = ", ".join(f"{kind} {value}" for kind, value in already)
                text = f"Another unit of the same part carries {shown}."
                raise Waiting(reason("serial_taken", text, identifiers=[list(one) for one in already]))

    async def _apply(self, made: Sequence[Translation]) -> None:
        """Fold the entries onto the floor, store what belongs to them, and write it all into the journal."""
        entries = [one.entry for one in made if one.entry]
        # A later batch may name a unit by what it is labelled with here: it has to find the label in the record.
        labels = any(one.entry and isinstance(one.entry.what, UnitIdentified) for one in made)
        folding = Folding(self.connection, self.at, self._locking(stay=labels))
        for one in made:
            if one.entry and one.events is not None:
                folding.stand_in(one.entry, one.events, taken_back=one.taken_back)
        why = {  # what a nonconformance says that a run opens
            key: inbox.reasons_text(reasons)
            for one in made
            if one.entry and one.run and (reasons := one.run.judgement.reasons)
            for key in folding.keys_of(one.entry)
        }
        folded = await folding.fold(entries, why)
        for one in made:
            if one.entry:
                for key in folding.keys_of(one.entry):
                    one.deviations.extend(folded.deviations.get(key, ()))
                one.deviations.extend(_not_received(one, folding))
                one.deviations.extend(_to_stop(one, folding))
        await self._store(made)
        await tell_live_failures(self.connection, _may_have_failed_live(made, folding, folded))
        await self._read_inventories([one for one in made if one.inventory], folding)
        await self.recorder.record(made, folding, folded)

    def _locking(self, *, stay: bool) -> Locking:
        if self._passage is None:
            return at_any_time
        return self._passage.staying if stay else self._passage.locking

    async def _store(self, made: Sequence[Translation]) -> None:
        await store_runs(self.connection, [one.run for one in made if one.run])
        await store_stretches(self.connection, [one.stretches for one in made if one.stretches])
        await receive_lots(self.connection, [one.lot_receipt for one in made if one.lot_receipt])
        await note_status(self.connection, [one.status for one in made if one.status])
        for one in made:
            if one.entry and isinstance(one.entry.what, UnitIdentified):
                await identify(self.connection, one.entry.what.unit, one.entry.what.identifiers, one.entry.at)

    async def _read_inventories(self, made: Sequence[Translation], folding: Folding) -> None:
        """Keep readings, each with what it says against the record as it is now."""
        if not made:
            return
        readings = [one.inventory for one in made if one.inventory]
        await store_inventories(self.connection, readings)
        for one, reading in zip(made, readings, strict=True):
            definition = folding.units[reading.unit_id].definition
            one.deviations.extend(await inventory_reasons(self.connection, reading, definition))

    async def _note_heard(self, messages: Iterable[Message]) -> None:
        newest = {one.station: said_at(one) for one in {one.station: one for one in messages}.values()}
        heard = [Heard(station, self.at, (said - self.at).total_seconds()) for station, said in newest.items()]
        await note_heard(self.connection, heard)


def _tell_alike(messages: dict[int, Message], admitted: dict[int, Message], settled: dict[int, Settled]) -> None:
    """A message that came twice in one batch and has to wait is pending both times: nobody may take it for settled."""
    waiting = {(m.source, m.id): settled[index] for index, m in admitted.items() if settled[index].fate == PENDING}
    for index, m in messages.items():
        if (m.source, m.id) in waiting and settled[index].fate == DUPLICATE:
            settled[index] = waiting[m.source, m.id]


def _answered(made: Translation) -> Sequence[Reason]:
    """What a station is told of its message: what is odd, and why its run is not what it claims."""
    if made.run is None or made.run.judgement.verdict == made.run.claim:
        return made.deviations
    return [*made.run.judgement.reasons, *made.deviations]


def _once(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Each code once: the first with it says it best."""
    if len(reasons) < 2:
        return tuple(reasons)
    return tuple({one.code: one for one in reversed(list(reasons))}.values())[::-1]


def _conflict(message: Message, before: Seen) -> Reason:
    text = f"Message {before.id} of {before.source} reported the same event with other content."
    return reason("conflicting_report", text, source=before.source, id=before.id)


def _to_stop(made: Translation, folding: Folding) -> Iterable[Reason]:
    """That the run has failed which these samples are of, and goes on: it is said with each of its messages."""
    what = made.entry.what if made.entry else None
    if isinstance(what, SamplesTaken):
        unit = folding.units[what.unit]
        if stop := stop_of(unit.progress, what, unit.serial, folding.watched.stays):
            yield stop


def _may_have_failed_live(made: Sequence[Translation], folding: Folding, folded: Folded) -> set[str]:
    """Units of whose runs the rows may have to be judged anew: by what was folded, or because a row is new."""
    changed = {one.run.unit_id for one in made if one.run} | {one.unit for one in folded.refolded}
    failed = {unit for unit, attempt in folded.attempts if CODE in attempt.deviations}
    return failed | {unit for unit in changed if watches(folding.units[unit].definition)}


def _not_received(made: Translation, folding: Folding) -> list[Reason]:
    what = made.entry.what if made.entry else None
    if not isinstance(what, PartInstalled) or what.child is None:
        return []
    child = folding.units[what.child]
    if child.work_order_id or child.progress.received_at:
        return []
    return [reason("not_received", f"{what.part} {child.serial} was never received.", serial=child.serial)]


__all__ = ["Batch", "Folded", "Settled"]
