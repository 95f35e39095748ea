"""One spelling for each serial number, check digits that catch what hands get wrong, and what they miss."""

import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ledger.units import UnitRange
from registry.documents.errors import (
    DocumentRefused,
    SerialBatchDisagrees,
    SerialCheckDigitsWrong,
    SerialMalformed,
)
from registry.documents.serials import Serial, UnitKind, mod_97_10

PREFIX = "QZP1-330802-RN-00042-2025-002"
WORKED = [("1-73", "11"), ("74-87", "77"), ("52-73", "24"), ("1-51", "77"), ("5-273", "72")]
UNIT_NUMBERS = st.integers(1, 10**12 - 1) | st.integers(1, 10_000)

serials = st.builds(
    lambda registry, county, kind, project, vintage, batch, ends: Serial(
        registry, str(county), kind, project, vintage, batch, UnitRange(min(ends), max(ends))
    ),
    st.text(string.ascii_uppercase, min_size=3, max_size=3),
    st.integers(110_000, 829_999),
    st.sampled_from(UnitKind),
    st.integers(1, 99_999),
    st.integers(1990, 2199),
    st.integers(1, 999),
    st.tuples(UNIT_NUMBERS, UNIT_NUMBERS),
)


@pytest.mark.parametrize(("units", "check"), WORKED)
def test_the_worked_serials_have_their_check_digits(units: str, check: str) -> None:
    serial = Serial.parse(f"{PREFIX}-{units}-{check}")
    assert str(serial) == f"{PREFIX}-{units}-{check}"
    assert str(serial.units) == units


def test_a_serial_says_what_it_is_of() -> None:
    serial = Serial.parse(f"{PREFIX}-52-73-24")
    assert serial == Serial(
        "QZP", "330802", UnitKind.REMOVAL_NATURE, project=42, vintage=2025, batch=2, units=UnitRange(52, 73)
    )
    assert serial.count == 22  # both ends included
    assert serial.project_code == "QZP1-330802-00042"


def test_check_digits_agree_with_the_standard_s_own_example() -> None:
    assert mod_97_10("794") == "44"  # ISO/IEC 7064:2003, the worked example for MOD 97-10


@given(serials)
def test_both_forms_are_read_and_one_is_written(serial: Serial) -> None:
    assert Serial.parse(str(serial)) == serial
    assert Serial.parse(serial.display()) == serial
    assert Serial.parse(serial.display().replace("\u00a0", ",")) == serial
    assert str(Serial.parse(serial.display())) == str(serial)


def test_only_the_machine_form_may_be_signed() -> None:
    serial = Serial("QZP", "330802", UnitKind.REMOVAL_NATURE, 42, 2025, 2, UnitRange(1, 12_345))
    assert "12\u00a0345" in serial.display()
    assert Serial.parse_machine(str(serial)) == serial
    with pytest.raises(SerialMalformed, match="its one spelling is"):
        Serial.parse_machine(serial.display())


def units_hyphen(text: str) -> int:
    """Where the hyphen between the first and the last unit stands, the only one between fields of no fixed
    length."""
    return text.rindex("-", 0, text.rindex("-"))


@given(serials, st.data())
def test_any_character_replaced_is_caught(serial: Serial, data: st.DataObject) -> None:
    text = str(serial)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(string.ascii_uppercase + string.digits + "-, ") | st.characters())
    assume(other != text[at])
    with pytest.raises(DocumentRefused):
        Serial.parse_machine(text[:at] + other + text[at + 1 :])


@given(serials, st.data())
def test_any_letter_or_digit_mistaken_for_another_is_caught_in_the_reader_s_form_too(
    serial: Serial, data: st.DataObject
) -> None:
    text = serial.display()
    at = data.draw(st.sampled_from([at for at, one in enumerate(text) if one.isalnum()]))
    other = data.draw(st.sampled_from(string.ascii_uppercase + string.digits))
    assume(other != text[at])
    with pytest.raises(DocumentRefused):
        Serial.parse(text[:at] + other + text[at + 1 :])


def test_a_digit_mistaken_for_a_grouping_sign_is_caught_where_serials_are_signed() -> None:
    """A digit that becomes a comma shortens the number: 9 x 10 + 7 is 97, and 107345 and 10,345 share their
    check digits. Whoever types for a person may read it so; what is signed has one spelling and refuses it.
    """
    assert str(Serial.parse(f"{PREFIX}-107345-200000-90"))
    mistyped = f"{PREFIX}-10,345-200000-90"
    assert Serial.parse(mistyped).units == UnitRange(10_345, 200_000)
    with pytest.raises(SerialMalformed, match="its one spelling is"):
        Serial.parse_machine(mistyped)


@given(serials, st.data())
def test_any_two_neighbours_swapped_are_caught_beside_the_hyphen_of_the_units(
    serial: Serial, data: st.DataObject
) -> None:
    """Two digits swapped change the number by 9 (a - b) 10^k, two letters by 99 (a - b) 10^k, and 97 divides
    neither; any other swap leaves a field of a wrong length or kind.
    """
    text = str(serial)
    hyphen = units_hyphen(text)
    places = [at for at in range(len(text) - 1) if text[at] != text[at + 1] and hyphen not in (at, at + 1)]
    at = data.draw(st.sampled_from(places))
    with pytest.raises(DocumentRefused):
        Serial.parse(text[:at] + text[at + 1] + text[at] + text[at + 2 :])


def slid(text: str, by: int) -> str:
    """The serial with the hyphen between its units one place further right (1) or left (-1)."""
    at = units_hyphen(text)
    left = at if by == 1 else at - 1
    return text[:left] + text[left + 1] + text[left] + text[left + 2 :]


def has_twin(first: int, digit: int, tail: int) -> bool:
    """Whether `first`-`digit``tail` and `first``digit`-`tail` share their check digits.

    Padded to twelve digits each, the two differ by (9 first + digit) 10^12 - digit 10^(length of tail), and
    MOD 97-10 sees a difference unless 97 divides it.
    """
    difference: int = (9 * first + digit) * 10**12 - digit * 10 ** len(str(tail))
    return difference % 97 == 0


@st.composite
def digits_at_the_hyphen(draw: st.DrawFn) -> tuple[int, int, int]:
    """First, digit and tail such that both `first`-`digit``tail` and `first``digit`-`tail` are ranges."""
    first, digit = draw(st.integers(1, 9_999) | st.integers(1, 10**10 - 2)), draw(st.integers(1, 9))
    longer = 10 * first + digit
    longest = 10**11 - 1
    tail = draw(st.integers(longer, min(100 * longer, longest)) | st.integers(longer, longest))
    return first, digit, tail


@given(digits_at_the_hyphen())
@example((1, 9, 19))  # 1-919 and 19-19
@example((5, 2, 73))  # 5-273 and 52-73, the pair for which the numbers are padded
def test_a_hyphen_that_slid_between_the_units_is_missed_by_97_10_exactly_where_the_two_ranges_are_twins(
    digits: tuple[int, int, int],
) -> None:
    first, digit, tail = digits
    one = Serial.parse(with_check_digits(first, int(f"{digit}{tail}")))
    other = Serial.parse(with_check_digits(int(f"{first}{digit}"), tail))
    for right, wrong, by in ((one, other, 1), (other, one, -1)):
        if has_twin(first, digit, tail):
            assert Serial.parse(slid(str(right), by)) == wrong
        else:
            with pytest.raises(SerialCheckDigitsWrong):
                Serial.parse(slid(str(right), by))


def with_check_digits(first: int, last: int) -> str:
    return str(Serial("QZP", "330802", UnitKind.REMOVAL_NATURE, 42, 2025, 2, UnitRange(first, last)))


def test_twins_are_two_ranges_of_different_size() -> None:
    """The check digits cannot tell `1-919` from `19-19`: hyphens are not among the characters they check. The
    count, which a certificate prints beside each serial, can.
    """
    serial, twin = Serial.parse(f"{PREFIX}-1-919-92"), Serial.parse(f"{PREFIX}-19-19-92")
    assert slid(str(serial), 1) == str(twin)
    assert (serial.count, twin.count) == (919, 1)


@given(digits_at_the_hyphen())
def test_a_slid_hyphen_always_changes_the_count(digits: tuple[int, int, int]) -> None:
    first, digit, tail = digits
    assert UnitRange(first, int(f"{digit}{tail}")).count > UnitRange(int(f"{first}{digit}"), tail).count


def test_a_mistyped_digit_is_told_from_a_malformed_serial() -> None:
    with pytest.raises(SerialCheckDigitsWrong) as refused:
        Serial.parse(f"{PREFIX}-52-74-24")
    assert refused.value.code == "serial_check_digits"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{PREFIX}-052-73-24", "leading zeros"),
        (f"{PREFIX}-0-73-24", "start at 1"),
        (f"{PREFIX}-73-52-24", "before its first"),
        (f"{PREFIX}-1,00-73-24", "nine fields"),
        (f"{PREFIX}-52-73", "nine fields"),
        (f"{PREFIX}-52-73-24\n", "nine fields"),
        (f"{PREFIX}-५२-73-24", "nine fields"),
        (f"{PREFIX.lower()}-52-73-24", "nine fields"),
        (f"{PREFIX}-1-1,000,000,000,000-24", "twelve digits"),
        (PREFIX.replace("QZP1", "QZP2") + "-52-73-24", "version 2"),
        (PREFIX.replace("RN", "XX") + "-52-73-24", "unit kind XX"),
        (PREFIX.replace("00042", "00000") + "-52-73-24", "project"),
        (PREFIX.replace("-002", "-000") + "-52-73-24", "batch"),
        (PREFIX.replace("2025", "0025") + "-52-73-24", "vintage"),
        ("", "nine fields"),
    ],
)
def test_what_is_no_serial_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(SerialMalformed, match=reason):
        Serial.parse(text)


def test_without_padding_two_ranges_would_share_their_check_digits() -> None:
    assert Serial.parse(f"{PREFIX}-5-273-72").check_digits != Serial.parse(f"{PREFIX}-52-73-24").check_digits


def test_vintage_and_batch_must_agree_with_the_units() -> None:
    serial = Serial.parse(f"{PREFIX}-52-73-24")
    serial.require_batch(vintage=2025, batch=2)
    for vintage, batch in ((2024, 2), (2025, 1)):
        with pytest.raises(SerialBatchDisagrees):
            serial.require_batch(vintage, batch)


def test_a_part_of_a_serial_is_a_serial_of_the_same_batch() -> None:
    whole = Serial.parse(f"{PREFIX}-1-73-11")
    assert str(whole.part(UnitRange(52, 73))) == f"{PREFIX}-52-73-24"
    with pytest.raises(SerialMalformed, match="not among its own"):
        whole.part(UnitRange(52, 74))
