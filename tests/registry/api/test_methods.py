"""Methods and calculations of a served registry: for everybody, without a key."""

import httpx

from registry.estimates.methods import DEFAULT_METHOD, METHODS
from tests.registry.api.life import Life
from tests.registry.estimates.sheets import PUBLISHED, assert_reproduced


def test_a_stranger_reads_methods_and_calculates(life: Life) -> None:
    base = f"{life.served.base}/api/v1/methods"
    assert {one["id"] for one in httpx.get(base).json()["items"]} >= set(METHODS)
    page = httpx.get(f"{base}/{DEFAULT_METHOD}").json()
    assert page["digest"] == METHODS[DEFAULT_METHOD].digest()
    answers = httpx.post(f"{base}/calculate", json=PUBLISHED).json()
    for vector, answer in zip(PUBLISHED, answers, strict=True):
        assert_reproduced(vector, answer["outputs"])
    refused = httpx.post(f"{base}/calculate", json=[])
    assert (refused.status_code, refused.json()["code"]) == (422, "method_nothing_to_calculate")
