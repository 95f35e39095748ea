"""Real data for the tests of this room; without it they are skipped with a reason that says so."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = Path(os.environ.get("TANHUI_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"REAL DATA NOT TESTED: no folder {folder.name!r}; set TANHUI_TEST_DATA")
    return folder
