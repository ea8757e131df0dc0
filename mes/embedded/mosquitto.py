"""What Mosquitto must be told so that it loses nothing: one set of lines for the embedded and for a floor's broker."""

from typing import Final, NamedTuple

MESSAGE_MAX_BYTES: Final = 1024 * 1024
HEADROOM_BYTES: Final = 64 * 1024
"""Mosquitto acknowledges a message beyond its limit and drops it silently; so its limit lies above ours, and the MES
itself rejects what is too large, visibly."""


class Line(NamedTuple):
    """One line of a configuration and why it is there."""

    text: str
    why: str


def keeping(message_max_bytes: int = MESSAGE_MAX_BYTES) -> tuple[Line, ...]:
    """The lines that keep messages, wherever Mosquitto runs. Where they are kept (`persistence_location`) differs."""
    return (
        Line("persistence true", "Sessions, what waits in them and retained messages outlive a stop."),
        Line(
            "autosave_interval 5",
            "Seconds between savings: what a killed broker forgets at most. Its own acknowledgement promises nothing, "
            "so station clients keep each message until the MES's receipt.",
        ),
        Line(
            "max_queued_messages 0",
            "No bound on what waits for a process that is away. The default, 1000, drops the rest without a word.",
        ),
        Line(
            "max_queued_bytes 0",
            "Nor on its bytes: a full queue would drop acknowledged messages. What bounds it is memory: about 1 kB and "
            "the payload for each message while ingest is away; watch that.",
        ),
        Line("max_inflight_messages 0", "Batches of ingest are larger than the 20 unacknowledged messages of default."),
        Line(
            f"message_size_limit {message_max_bytes + HEADROOM_BYTES}",
            "Above MES_MESSAGE_MAX_BYTES: beyond its limit Mosquitto acknowledges and drops; the MES rejects visibly.",
        ),
        Line("set_tcp_nodelay true", "Without it an answer to a station takes 88 ms instead of 1."),
    )
