"""The test vectors of `docs/ledger.md`: one small log, what is published of it, and alterations of both.

python -m tests.ledger.vectors > docs/vectors/ledger.json
"""

import json
from hashlib import sha256

from ledger.canonical import decode, encode
from ledger.commitment import commit
from ledger.envelope import decode_leaf
from ledger.merkle import consistency_proof, inclusion_proof, leaf_hash
from ledger.strict_base64 import to_base64
from ledger.tiles import encode_entry_bundle, entries_path, tile_path
from tests.ledger.altered_books import book_cases
from tests.ledger.altered_files import canonical_cases, note_cases, receipt_cases
from tests.ledger.altered_leaves import (
    Cases,
    authority_cases,
    key_cases,
    leaf_cases,
    log_cases,
    payload_cases,
    remark_cases,
    signature_cases,
)
from tests.ledger.example_log import (
    COMMITMENT_KEY,
    COSIGNED_S,
    KEYS,
    LOG,
    LOG2,
    ORIGIN,
    RECORD,
    SEEDS,
    Json,
    Story,
    cosigned,
    receipt,
    told,
    witness,
)


def files(story: Story, size: int) -> list[Json]:
    hashes = b"".join(map(leaf_hash, story.leaves[:size]))
    bundle = encode_entry_bundle(story.leaves[:size])
    return [
        {"path": path, "bytes": len(data), "sha256": sha256(data).hexdigest(), "hex": data.hex()}
        for path, data in ((tile_path(0, 0, size), hashes), (entries_path(0, size), bundle))
    ]


def proofs(story: Story) -> Json:
    size = len(story.leaves)
    asked = ((0, 1), (2, 3), (7, size), (size - 1, size))
    return {
        "inclusion": [
            {"index": i, "size": n, "hashes": [*map(to_base64, inclusion_proof(i, n, story.node))]}
            for i, n in asked
        ],
        "consistency": [
            {"old": m, "new": n, "hashes": [*map(to_base64, consistency_proof(m, n, story.node))]}
            for m, n in ((1, 3), (6, 13), (8, size), (size, size))
        ],
    }


def entries(story: Story) -> list[Json]:
    return [
        {
            "index": index, "leaf": one.decode("ascii"), "leaf_hash": leaf_hash(one).hex(),
            "payload": decode_leaf(one)[1].payload.decode("ascii"), "root": story.roots[index + 1].hex(),
        }
        for index, one in enumerate(story.leaves)
    ]  # fmt: skip


def vectors() -> Json:
    """Everything, in the order of the page."""
    story = told()
    size = len(story.leaves)
    cases = Cases(story)
    for group in (
        leaf_cases,
        payload_cases,
        signature_cases,
        key_cases,
        log_cases,
        remark_cases,
        book_cases,
        authority_cases,
    ):
        group(cases)
    return {
        "format": "tanhui-ledger-vectors/1",
        "keys": {
            name: {
                "seed": bytes(range(first, first + 32)).hex(), "public": KEYS[name].public_bytes.hex(),
                "keyid": KEYS[name].keyid,
            }
            for name, first in SEEDS.items()
        },
        "origin": ORIGIN,
        "vkeys": {"log": LOG.vkey, "log2": LOG2.vkey, "witness": witness().vkey},
        "paths": [{"n": n, "path": tile_path(0, n)} for n in (0, 999, 1000, 1_234_067)],
        "entries": entries(story),
        "files": [*files(story, 2), *files(story, size)],
        "checkpoints": [{"size": n, "note": cosigned(story, n).decode()} for n in range(1, size + 1)],
        "cosigned": {"size": 3, "time": COSIGNED_S, "note": cosigned(story, 3, witness()).decode()},
        **proofs(story),
        "receipt": {"entry": 2, "text": receipt(story, 2, 3).decode()},
        "states": [{"index": n, "text": text, **facts} for n, (facts, text) in story.states.items()],
        "commitment": {
            "key": COMMITMENT_KEY.hex(), "record": RECORD, "text": encode(RECORD).decode(),
            "commitment": commit(COMMITMENT_KEY, RECORD),
        },
        "canonical": canonical_cases(),
        "leaves": cases.found,
        "notes": note_cases(story),
        "receipts": receipt_cases(story),
    }  # fmt: skip


def text() -> str:
    made = vectors()
    assert decode(encode(made)) == made, "no floats, nothing that JSON would change"
    return json.dumps(made, ensure_ascii=True, indent=1) + "\n"


if __name__ == "__main__":
    print(text(), end="")
