"""One spelling for each serial number, and check digits that catch what hands get wrong."""

import string

import pytest
from hypothesis import assume, given
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


@given(serials, st.data())
def test_any_character_replaced_is_caught(serial: Serial, data: st.DataObject) -> None:
    text = str(serial)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(string.ascii_uppercase + string.digits + "-, ") | st.characters())
    assume(other != text[at])
    with pytest.raises(DocumentRefused):
        Serial.parse(text[:at] + other + text[at + 1 :])


@given(serials, st.data())
def test_any_two_neighbouring_characters_swapped_are_caught(serial: Serial, data: st.DataObject) -> None:
    text = str(serial)
    places = [at for at in range(len(text) - 1) if text[at] != text[at + 1]]
    at = data.draw(st.sampled_from(places))
    with pytest.raises(DocumentRefused):
        Serial.parse(text[:at] + text[at + 1] + text[at] + text[at + 2 :])


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
