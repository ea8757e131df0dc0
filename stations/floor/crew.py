"""Who works when: three shifts around the clock, every day, with people of their own."""

from typing import Final

SHIFT_S: Final = 8 * 3600.0
SHIFTS: Final = (("early", "06:00", "14:00"), ("late", "14:00", "22:00"), ("night", "22:00", "06:00"))
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME_ZONES: Final = ("America/Monterrey", "Asia/Bangkok")
"""Where the floor may be. Without summer time: eight hours are eight hours. Their shifts begin five hours apart."""

_OPERATORS: Final = {
    "early": ("m.rossi", "a.nguyen", "j.ortega", "s.lindqvist", "p.kowalski", "d.okafor"),
    "late": ("t.yamada", "c.silva", "r.haddad", "e.novotna", "b.mensah", "l.castillo"),
    "night": ("k.berg", "f.torres", "h.chen", "o.demir", "v.petrov", "n.garza"),
}
TECHNICIANS: Final = {"early": "l.tanaka", "late": "g.moreno", "night": "w.adler"}
ENGINEERS: Final = {"early": "a.novak", "late": "i.fischer", "night": "a.novak"}
QUALITY: Final = ("q.marin", "q.ibarra")
PLANNER: Final = "erp"


def shift_number(at: float) -> int:
    """The number of the shift at a time; the floor's first second is the first of an early shift's."""
    return int(at // SHIFT_S)


def shift_name(at: float) -> str:
    """The name of the shift at a time."""
    return SHIFTS[shift_number(at) % len(SHIFTS)][0]


def operator(at: float, station: str) -> str:
    """Who works at a station at a time."""
    crew = _OPERATORS[shift_name(at)]
    return crew[sum(station.encode()) % len(crew)]


def technician(at: float) -> str:
    """Who repairs at a time."""
    return TECHNICIANS[shift_name(at)]


def engineer(at: float) -> str:
    """Who finds out why at a time."""
    return ENGINEERS[shift_name(at)]
