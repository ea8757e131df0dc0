"""When an event took effect, where its station's clock can't be right."""

from datetime import UTC, datetime, timedelta
from typing import Final

SET_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""No station of ours is older. A clock that says less lost its battery: it begins anew in 1970, 1980, 2000 or 2012."""


def is_set(said: datetime) -> bool:
    """Whether a clock that says so may be right."""
    return said >= SET_FROM


def effective_at(said: datetime, received_at: datetime) -> datetime:
    """When an event took effect: as its station says, but never later than it arrived; of an unset clock then."""
    return min(said, received_at) if is_set(said) else received_at


def began_at(began: datetime, ended: datetime, took_effect: datetime) -> datetime:
    """When what ended at `took_effect` began, by the times that its station says: no shorter where its clock is wrong.

    How long it took is not known where the clock was set in the meantime: then it began when it ended.
    """
    return took_effect - max(ended - began, timedelta()) if is_set(began) == is_set(ended) else took_effect
