"""Parts in a unit's trace: what came into it and left it, and where it went itself.

One scan is a span in the parent's trace and one in the part's, and each links to the other: both ids follow from the
same journal entry, so neither trace has to be read to write the other.
"""

from typing import Any

from mes.domain.facts import PartInstalled, PartRemoved
from mes.domain.trace.spans import Link, Relation, Span, span_id, trace_id
from mes.domain.trace.telling import Recorded, Teller


class Parts:
    """Installations and removals that name a unit, as parent or as part."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._installed: dict[tuple[str, str, str | None], str] = {}

    def installed(self, entry: Recorded, what: PartInstalled) -> list[Span]:
        """A scan into a position."""
        span = self._scan(entry, what, "installation", "install", None)
        self._installed[_place(what)] = span.span_id
        return [span]

    def removed(self, entry: Recorded, what: PartRemoved) -> list[Span]:
        """A scan out of a position; it links to the scan that it undoes."""
        undone = self._teller.link(self._installed.pop(_place(what), None), Relation.UNDOES)
        return [self._scan(entry, what, "removal", "remove", undone)]

    def _scan(
        self, entry: Recorded, what: PartInstalled | PartRemoved, kind: str, verb: str, undone: Link | None
    ) -> Span:
        is_parent = what.parent == self._teller.unit_id
        told: dict[str, Any] = {
            "position": what.position,
            "operator": what.operator,
            "reason": getattr(what, "reason", None),
        }
        if is_parent:
            told |= {"child.part": what.part, "child.serial": entry.name_of(what.child) if what.child else None}
            told |= {"child.lot": entry.name_of(what.lot) if what.lot else None}
            told |= {"quantity": format(what.quantity, "f") if what.quantity is not None else None}
        else:
            told["parent.serial"] = entry.name_of(what.parent)
        return self._teller.tell(
            entry, kind, f"{verb} {what.position}", links=(self._across(entry, what, is_parent), undone), told=told
        )

    def _across(self, entry: Recorded, what: PartInstalled | PartRemoved, is_parent: bool) -> Link | None:
        """The other end of the scan: the same event in the part's trace, or in the parent's."""
        other = what.child if is_parent else what.parent
        if other is None or other == self._teller.unit_id:
            return None
        return Link(trace_id(other), span_id(other, entry.id), Relation.PART if is_parent else Relation.PARENT)


def _place(what: PartInstalled | PartRemoved) -> tuple[str, str, str | None]:
    return what.parent, what.position, what.child or what.lot
