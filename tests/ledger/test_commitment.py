"""Commitments: the log says nothing about a record whose key is gone."""

import pytest

from ledger.canonical import JsonValue
from ledger.commitment import commit, new_commitment_key, verify_commitment
from ledger.errors import CommitmentRefused, NotCanonical

KEY = bytes(range(32))
RECORD: dict[str, JsonValue] = {"name": "\u5f20\u4e09", "phone": "0570"}


def test_the_commitment_is_an_hmac_over_canonical_json() -> None:
    # printf '{"a":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f
    assert commit(KEY, {"a": 1}) == "b4cebde30982443ec36c18fa99ad10a70e705bba779f57c37e84decb64ae50fb"
    assert commit(KEY, {"phone": "0570", "name": "\u5f20\u4e09"}) == commit(KEY, RECORD)


def test_a_record_opens_its_commitment_and_no_other() -> None:
    commitment = commit(KEY, RECORD)
    verify_commitment(commitment, KEY, RECORD)
    for wrong in (
        (commitment, bytes(32), RECORD),
        (commitment, KEY, {**RECORD, "phone": "0571"}),
        (commitment.upper(), KEY, RECORD),
        (commitment[:-1], KEY, RECORD),
        ("\u00e9" + commitment[1:], KEY, RECORD),
        ("\ud800", KEY, RECORD),
    ):
        with pytest.raises(CommitmentRefused):
            verify_commitment(*wrong)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_commitment_key_has_32_bytes(length: int) -> None:
    with pytest.raises(CommitmentRefused):
        commit(bytes(length), {})


def test_keys_are_random_and_records_canonical() -> None:
    assert len(new_commitment_key()) == 32
    assert new_commitment_key() != new_commitment_key()
    with pytest.raises(NotCanonical):
        commit(KEY, 0.5)  # type: ignore[arg-type]
