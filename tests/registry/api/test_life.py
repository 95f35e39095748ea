"""The life of a credit over HTTP, as everybody sees it afterwards."""

import base64
import json

import httpx

from ledger.checkpoint import open_checkpoint
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.note import NoteVerifier
from ledger.proof import TlogProof
from tests.registry.api.life import Life


def test_a_credit_goes_from_a_polygon_to_a_certificate(life: Life) -> None:
    summary = life.summary
    assert summary["issued"] == life.issuance["units"]
    assert summary["units"]["retired"] == 3
    assert summary["units"]["buffer"] == life.issuance["buffer_units"]
    assert summary["parcels_by_status"] == {"enrolled": 3}
    assert sum(summary["units"].values()) == summary["issued"]


def test_a_serial_leads_to_everything_in_one_call(life: Life) -> None:
    trace = life["nobody"].get(f"/public/serials/{life.serials[0]}").json()
    assert trace["units"] == 3
    assert {home["parcel"] for home in trace["homes"]} <= set(life.parcels)
    assert trace["statement"]["verifier"] == life.organisations["verifier"]
    assert trace["holders"][-1]["account"].startswith("retired:")


def test_a_strangers_objection_is_kept_and_answered_and_the_contact_is_the_registrys(life: Life) -> None:
    (seen,) = life["buyer"].get(f"/projects/{life.project}/objections").json()["items"]
    assert (seen["text"], seen["answer"]) == ("边界有争议", "已核实")
    assert "contact" not in seen
    (full,) = life["registry"].get(f"/projects/{life.project}/objections").json()["items"]
    assert full["contact"] == "某村民"


def test_the_option_was_delivered_in_the_issuance(life: Life) -> None:
    option = life["firm"].get(f"/options/{life.option}").json()
    assert (option["status"], option["delivered_units"]) == ("delivered", 5)


def test_everybody_holds_what_the_story_says(life: Life) -> None:
    assert life.units == {"firm": 5 - 3, "buyer": 7, "person": 4}


def test_proceeds_come_to_both_villages_and_add_up(life: Life) -> None:
    """5 delivered at 55.00 and premium of 8.00, 4 subscribed at 68.00, 7 sold at 73.41, in fen."""
    lines = life["registry"].get("/proceeds", limit=200).json()["items"]
    assert sum(line["amount_fen"] for line in lines) == 5 * 5500 + 5 * 800 + 4 * 6800 + 7 * 7341
    for village in ("甲村", "乙村"):
        own = life[village].get("/proceeds", limit=200).json()["items"]
        cash = life[village].get("/holdings").json()["accounts"]
        paid = sum(line["amount_fen"] for line in own)
        assert paid > 0
        assert sum(one["balance"] for one in cash if one["account"].startswith("cash:")) == paid


def test_a_statement_of_account_adds_up_to_its_balance(life: Life) -> None:
    account = f"cash:{life.organisations['firm']}"
    lines, before = [], None
    while True:
        page = life["firm"].get(
            f"/accounts/{account}/statement", limit=1, **({"before": before} if before else {})
        )
        body = page.json()
        lines += body["lines"]
        before = body["next"]
        if before is None:
            break
    assert sum(line["amount"] for line in lines) == body["balance"]


def test_the_certificate_verifies_offline(life: Life) -> None:
    for suffix in (".pdf", ".tlog-proof", ".entry", ".statement.json"):
        response = life["nobody"].get(f"/public/certificates/{life.certificate}{suffix}")
        assert response.status_code == 200
        (life.folder / f"{life.certificate}{suffix}").write_bytes(response.content)
    vkey = life.folder / "log.vkey"
    vkey.write_bytes(httpx.get(f"{life.served.base}/log/vkey").content)
    pdf = str(life.folder / f"{life.certificate}.pdf")
    assert "verified" in life.served.command("certificate", "verify", pdf, "--vkey", str(vkey))


def test_the_audit_passes_on_what_was_done_over_http(life: Life) -> None:
    report = json.loads(life.served.command("audit", str(life.home.path), "--json"))
    assert report["passed"], report["findings"]


def test_every_receipt_proves_its_entry(life: Life) -> None:
    answer = (
        life["bank"]
        .act(
            "/deposits",
            life.deposit(1),
        )
        .json()
    )
    (receipt,) = answer["entries"]
    proof = TlogProof.parse(httpx.get(life.served.base + receipt["proof"]).content)
    leaf = base64.b64decode(httpx.get(life.served.base + receipt["entry"]).json()["leaf"])
    vkey = NoteVerifier.parse(httpx.get(f"{life.served.base}/log/vkey").text.strip())
    checkpoint = open_checkpoint(proof.checkpoint_note, vkey)
    verify_inclusion(proof.index, checkpoint.size, leaf_hash(leaf), proof.hashes, checkpoint.root)
    assert proof.index == receipt["index"]


def test_a_raster_of_a_day_that_has_not_come_is_refused(life: Life) -> None:
    response = life["operator"].upload(
        "/rasters",
        life.folder / "parcels.geojson",
        kind="agb",
        unit="t/ha",
        product="x",
        taken_on="9999-01-01",
        licence="CC0-1.0",
    )
    assert (response.status_code, response.json()["code"]) == (422, "raster_of_the_future")
