"""OCP Test & Validation output 2.x: the lines that a diagnostic writes while it runs, gathered into a run.

`lines` says what one line may be, `recording` gathers lines however they arrive, `snapshot` says what they tell so
far, `validators` evaluates the limits in them: the library that writes such output does not.
"""

from mes.formats.ocptv.lines import Line
from mes.formats.ocptv.recording import Recording, recordings, unread
from mes.formats.ocptv.snapshot import DiagStep, Measured, Snapshot

__all__ = ["DiagStep", "Line", "Measured", "Recording", "Snapshot", "recordings", "unread"]
