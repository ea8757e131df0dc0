"""OCP Test & Validation output 2.x: the lines that a diagnostic writes while it runs, gathered into a run.

`lines` says what one line may be, `recording` gathers lines however they arrive, `snapshot` says what they tell so
far, `series` holds the values of a series and `measured` makes measurements of them all, `validators` evaluates the
limits in them: the library that writes such output does not.
"""

from mes.formats.ocptv.lines import Line
from mes.formats.ocptv.measured import Measured
from mes.formats.ocptv.recording import Reader, Recording, recordings, unread
from mes.formats.ocptv.snapshot import DiagStep, Snapshot

__all__ = ["DiagStep", "Line", "Measured", "Reader", "Recording", "Snapshot", "recordings", "unread"]
