"""Names, texts that only look like names, and patterns that make serials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mes.domain.identity import (
    PatternExhausted,
    check_name,
    check_path,
    check_pattern,
    is_name,
    is_placeholder,
    serials,
)

ALLOWED = {chr(code) for code in range(0x21, 0x7F)} - set('/#+%"')


@given(st.text(max_size=70))
def test_a_name_is_printable_ascii_without_the_five_marks(text: str):
    assert is_name(text) == (0 < len(text) <= 64 and set(text) <= ALLOWED)
    assert (check_name(text) is None) == is_name(text)


@pytest.mark.parametrize("letter", sorted(ALLOWED))
def test_every_allowed_character_is_allowed(letter: str):
    assert is_name(letter)


def test_a_problem_names_what_is_wrong():
    assert check_name("") == "is empty; give 1 to 64 characters"
    assert "65 characters" in (check_name("x" * 65) or "")
    assert "a blank" in (check_name("CB 1") or "")
    assert "'/'" in (check_name("CB/1") or "")
    assert "'\\n'" in (check_name("CB1\n") or "")


def test_a_path_is_names_joined_by_slashes():
    assert check_path("U12/GPU3") is None
    assert check_path("U12//GPU3") is not None
    assert "deep" in (check_path("/".join(["A"] * 17)) or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "NA",
        "n/a",
        "N/A ",
        "None",
        "TBD",
        "Unknown",
        "Default string",
        "To be filled by O.E.M.",
        "$CHASSIS_SERIAL_NUMBER",
        "$PRODUCT_PART_NUMBER",
        "0x0000000000000000",
        "0xFFFFFFFF",
        "0000000",
        "FFFFFFFF",
        "999WWYY123456",
        "00000000-0000-0000-0000-000000000000",
        "FF:FF:FF:FF:FF:FF",
        "XXXXXXXX",
        "--",
    ],
)
def test_unprogrammed_texts_are_placeholders(text: str):
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["CB-000123", "1", "A", "NA12345", "F0F0", "0x1F", "1324522000012", "Q00000", "WWY-1"])
def test_serials_are_no_placeholders(text: str):
    assert not is_placeholder(text)


def test_patterns_make_serials():
    assert serials("CB-{n:06}", 9, 2, 2026, 4) == ["CB-000009", "CB-000010"]
    assert serials("{yy}{ww}-{n:5}", 1, 1, 2026, 4) == ["2604-00001"]
    assert serials("{yyyy}.{n}.X", 99, 2, 2026, 4) == ["2026.99.X", "2026.100.X"]
    assert serials("{n}", 0, 0, 2026, 1) == []


def test_a_number_never_outgrows_its_width():
    assert serials("C{n:02}", 99, 1, 2026, 1) == ["C99"]
    with pytest.raises(PatternExhausted, match="no number 100"):
        serials("C{n:02}", 99, 2, 2026, 1)


@pytest.mark.parametrize(
    "pattern", ["", "CB", "{n}{n}", "{x}{n}", "{n:0}", "{n:06", "n}{n}", "C B{n}", "C/{n}", "{n:99}", "{{n}}", "{n:-1}"]
)
def test_bad_patterns_are_refused(pattern: str):
    assert check_pattern(pattern)
    with pytest.raises(ValueError, match="serial pattern"):
        serials(pattern, 1, 1, 2026, 1)


@given(
    st.lists(st.sampled_from(["{yy}", "{yyyy}", "{ww}", "-", "CB", "."]), max_size=6),
    st.integers(1, 12),
    st.integers(0, 10**6),
    st.integers(1, 20),
)
def test_every_serial_of_a_good_pattern_is_a_name_and_its_own(parts: list[str], width: int, first: int, count: int):
    pattern = "".join([*parts, f"{{n:{width:02}}}"])
    assert check_pattern(pattern) is None
    try:
        made = serials(pattern, first, count, 2026, 53)
    except PatternExhausted:
        assert first + count > 10**width
        return
    assert all(map(is_name, made))
    assert len(set(made)) == count == len(made)
    assert len({len(serial) for serial in made}) == 1
