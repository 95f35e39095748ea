"""Checkpoints, receipts and texts of JSON that are accepted, or are not."""

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.note import NoteVerifier
from ledger.strict_base64 import to_base64
from tests.ledger.example_log import KEYS, LOG2, ORIGIN, Json, Story, cosigned, receipt


def note_cases(story: Story) -> list[Json]:
    """Checkpoint notes of size 3 under the key `log`; texts hold U+2014 as it is."""
    good = cosigned(story, 3).decode()
    line = good.splitlines()[-1]
    root, short = to_base64(story.roots[3]), to_base64(story.roots[3][1:])
    sig = line.rpartition(" ")[2]
    spare = f"{sig[:-2]}{chr(ord(sig[-2]) + 1)}="
    other = sign_checkpoint(Checkpoint(ORIGIN, 3, story.roots[3]), LOG2).decode()

    def signed(text: str) -> str:
        name = NoteVerifier(ORIGIN, KEYS["log"].public_bytes)
        return f"{text}\n— {ORIGIN} {to_base64(name.key_id + KEYS['log'].sign(text.encode()))}\n"

    notes = {
        "unchanged": (good, ""),
        "CR LF": (good.replace("\n", "\r\n"), "lines end in LF alone"),
        "spare base64 bit in the signature": (good.replace(sig, spare), "base64 has one spelling"),
        "no empty line": (good.replace("\n\n", "\n"), "an empty line stands before the signatures"),
        "no line feed at the end": (good[:-1], "every line ends in LF"),
        "hyphen for the dash": (good.replace("— ", "- "), "a signature line begins with U+2014"),
        "one line twice": (good + line + "\n", "one signature for each key"),
        "another root": (good.replace(root, to_base64(story.roots[4])), "the signature does not verify"),
        "another size": (good.replace("\n3\n", "\n4\n"), "the signature does not verify"),
        "another key alone": (other, "no known key signed"),
        "a fourth line": (signed(f"{ORIGIN}\n3\n{root}\nmore\n"), "exactly three lines"),
        "leading zero": (signed(f"{ORIGIN}\n03\n{root}\n"), "the size has one spelling"),
        "plus sign": (signed(f"{ORIGIN}\n+3\n{root}\n"), "the size has one spelling"),
        "root of 31 bytes": (signed(f"{ORIGIN}\n3\n{short}\n"), "the root has 32 bytes"),
        "another origin": (signed(f"other.example/log\n3\n{root}\n"), "the origin is the key's name"),
        "empty log with a root": (signed(f"{ORIGIN}\n0\n{root}\n"), "the empty root is SHA-256 of nothing"),
    }  # fmt: skip
    return [
        {"name": name, "note": text} | ({"verdict": "refuse", "why": why} if why else {"verdict": "accept"})
        for name, (text, why) in notes.items()
    ]


def receipt_cases(story: Story) -> list[Json]:
    """Receipts for entry 2 at size 3 under the key `log`."""
    good = receipt(story, 2, 3).decode()
    hash_line = good.split("\n")[2]
    notes = {
        "unchanged": (good, ""),
        "another index": (good.replace("index 2", "index 1"), "the hashes lead to another root"),
        "index beyond the size": (good.replace("index 2", "index 3"), "the index is less than the size"),
        "leading zero": (good.replace("index 2", "index 02"), "the index has one spelling"),
        "hash too many": (good.replace(hash_line, f"{hash_line}\n{hash_line}"), "as many hashes as levels"),
        "hash too few": (good.replace(f"{hash_line}\n", ""), "as many hashes as levels"),
        "extra data": (good.replace("index", "extra AA==\nindex"), "nothing vouches for it"),
        "CR LF": (good.replace("\n", "\r\n"), "lines end in LF alone"),
    }
    return [
        {"name": name, "entry": 2, "receipt": text}
        | ({"verdict": "refuse", "why": why} if why else {"verdict": "accept"})
        for name, (text, why) in notes.items()
    ]


def canonical_cases() -> list[Json]:
    """Texts of JSON, and whether they are the canonical spelling of what they say."""
    good = [
        '{"a":1,"b":[true,null,""]}',
        '"\\b\\t\\n\\f\\r\\"\\\\/"',
        '"\\u001f\x7f竹"',
        "-9007199254740991",
        '{"A":0,"a":0,"é":0,"竹":0}',
    ]
    bad = [
        '{"b":1,"a":2}', '{"a":1,"a":1}', '{"a": 1}', "1.0", "1e2", "-0", "01", "9007199254740992",
        '"\\/"', '"\\u0041"', '"\\u000a"', '"\\u001F"', '"\t"', "NaN", "",
        "{} ", '"\\ud800"', '{"\U0001d11e":0}', "\ufeff1",
    ]  # fmt: skip
    return [{"text": text, "canonical": text in good} for text in (*good, *bad)]
