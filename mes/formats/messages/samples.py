"""Telemetry on the wire: many samples of many channels in one message."""

import struct
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from math import nan
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct, json

from mes.formats.messages.values import Purpose, Text64, Text255, Time, UnitRef, Wrong, in_utc

SPAN_MAX_S: Final = 366 * 24 * 3600.0
"""Longest stretch of time that one message of samples may cover, in seconds."""
_Period: TypeAlias = Annotated[
    float,
    Meta(
        description="Seconds from sample to sample; times their count, at most 366 days.",
        extra_json_schema={"exclusiveMinimum": 0, "maximum": SPAN_MAX_S},
    ),
]
_Offset: TypeAlias = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": SPAN_MAX_S})]
_Offsets: TypeAlias = Annotated[
    tuple[_Offset, ...],
    Meta(
        max_length=100_000,
        description="Seconds from `start` to each sample, ascending, as many as each channel has.",
        extra_json_schema={"minItems": 1},
    ),
]


class SamplesTaken(Struct, frozen=True, omit_defaults=True, dict=True):
    """Telemetry from `start` on: one sample of each channel every `period_s` seconds, or at `offsets_s` after it.

    Limits are watched where the run's `purpose` is production.
    """

    unit: UnitRef
    step: Text64
    start: Time
    channels: Annotated[
        dict[Text255, Annotated[list[float | None], Meta(min_length=1, max_length=100_000)]],
        Meta(min_length=1, max_length=10_000, description="Each has as many samples as the others; null is a gap."),
    ]
    run: Text255 | None = None
    period_s: _Period | None = None
    offsets_s: _Offsets | None = None
    purpose: Purpose = "production"

    def __post_init__(self) -> None:
        in_utc(self, "start")
        _check_channels(self.channels)
        _check_clock(self)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over what was sampled, from values and not from their text: whoever has the values can work it out.

        It covers the JSON array [serial, part, step, run, start, period_s, offsets_s, names of the channels in order],
        then the values of each channel in that order as big-endian doubles, NaN for a gap.
        """
        names = sorted(self.channels)
        said = (self.unit.serial, self.unit.part, self.step, self.run, self.start, self.period_s, self.offsets_s)
        hashed = sha256(json.encode([*said, names]))
        hashed.update(b"".join([_big_endian(self.channels[name]) for name in names]))
        return hashed.digest()


def sample_times(samples: SamplesTaken) -> tuple[float, ...]:
    """When each sample was taken, in seconds after `samples.start`."""
    if samples.offsets_s is not None:
        return samples.offsets_s
    count = len(next(iter(samples.channels.values())))
    return tuple(index * (samples.period_s or 0.0) for index in range(count))


def _big_endian(values: Sequence[float | None]) -> bytes:
    try:
        return struct.pack(f">{len(values)}d", *values)
    except struct.error:  # there are gaps
        return struct.pack(f">{len(values)}d", *[nan if one is None else one for one in values])


def _check_channels(channels: Mapping[str, list[float | None]]) -> None:
    count = len(next(iter(channels.values())))
    for name, values in channels.items():
        if len(values) != count:
            raise Wrong(f"it has {len(values)} samples where the first channel has {count}", f"channels.{name}")


def _check_clock(samples: SamplesTaken) -> None:
    count = len(next(iter(samples.channels.values())))
    if (samples.period_s is None) == (samples.offsets_s is None):
        raise Wrong("give either period_s or offsets_s", "period_s")
    if samples.period_s is not None:
        if not 0 < samples.period_s * count <= SPAN_MAX_S:
            raise Wrong("it must be more than 0 and the samples span at most 366 days", "period_s")
        return
    offsets = samples.offsets_s or ()
    if len(offsets) != count:
        raise Wrong(f"it has {len(offsets)} entries for {count} samples", "offsets_s")
    if offsets[0] < 0 or offsets[-1] > SPAN_MAX_S or any(b < a for a, b in pairwise(offsets)):
        raise Wrong("offsets must ascend from 0 on and span at most 366 days", "offsets_s")
