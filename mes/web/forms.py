"""What forms and addresses say, read once: ids, and the reasons that people give for what they decide."""

from typing import Annotated, Final, TypeAlias

from fastapi import Form, Path

from mes.domain.refusals import refuse

_UUID: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

Id: TypeAlias = Annotated[str, Path(pattern=_UUID)]
"""An id in an address, as a page of ours wrote it."""
Words: TypeAlias = Annotated[str, Form(max_length=4000)]


def stated(words: str) -> str:
    """What somebody wrote, without blanks around it. Refuses `invalid`: nothing was written, or what can't be kept."""
    text = words.strip()
    if not text:
        raise refuse("invalid", "Say in a few words why, or what was found or done; nothing was changed.")
    if "\0" in text:
        raise refuse("invalid", "What was written holds a character that no text has; nothing was changed.")
    return text
