"""A parcel's history, what it was at a moment, and its suspension over HTTP."""

from tests.registry.api.life import Life
from tests.registry.api.served import new_id

DIGEST = "d" * 64


def test_a_parcel_tells_its_history_and_what_it_was(life: Life) -> None:
    parcel = life.parcels[0]
    history = life["registry"].get(f"/parcels/{parcel}/history").json()
    actions = [step["action"] for step in history["items"]]
    assert actions[:5] == ["submit", "accept", "find_eligible", "enrol", "activate"]
    submitted, _, found, *_ = history["items"]
    assert submitted["at"] == found["at"]  # the simulated clock stood still meanwhile
    then = life["registry"].get(f"/parcels/{parcel}", as_of=submitted["at"]).json()
    assert (then["status"], then["version"], then["claims"]) == ("eligible", 1, [])
    assert then["outline"]["type"] == "Polygon"
    assert then["entry"] == found["entry"]
    now = life["registry"].get(f"/parcels/{parcel}").json()
    today = life["registry"].get(f"/parcels/{parcel}", as_of="2099-01-01").json()
    shown = ("id", "organisation", "status", "version", "entry", "area_cm2", "tenure", "outline")
    assert {name: today[name] for name in shown} == {name: now[name] for name in shown}
    assert [claim["status"] for claim in today["claims"]] == ["active"]
    assert (now["ancestors"], now["successors"]) == ([], [])


def test_before_it_was_there_is_no_parcel_and_a_wrong_moment_is_refused(life: Life) -> None:
    parcel = life.parcels[0]
    assert life["registry"].get(f"/parcels/{parcel}", as_of="2001-01-01").status_code == 404
    refused = life["registry"].get(f"/parcels/{parcel}", as_of="lately")
    assert (refused.status_code, refused.json()["code"]) == (422, "moment_invalid")


def test_history_is_not_for_strangers(life: Life) -> None:
    parcel = life.parcels[0]
    assert life["firm"].get(f"/parcels/{parcel}/history").status_code == 404
    assert life["firm"].get(f"/parcels/{parcel}", as_of="2099-01-01").status_code == 404


def test_the_registry_lists_rights_that_end_before_a_day_and_one_is_renewed(life: Life) -> None:
    def ending(name: str, day: str) -> set[str]:
        items = life[name].get("/parcels", tenure_ends_before=day, limit=100).json()["items"]
        assert all(item["tenure_until"] < day for item in items)
        return {item["id"] for item in items}

    assert set(life.parcels) <= ending("registry", "2061-01-01")
    assert ending("registry", "2060-12-31") == set()
    assert ending("firm", "2061-01-01") == set()
    wrong = life["registry"].get("/parcels", tenure_ends_before="soon")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "moment_invalid")

    parcel = life.parcels[0]
    renewal = {"until": "2070-12-31", "evidence_sha256": DIGEST}
    village = life[owner_of(life, parcel)]
    answer = village.confirmed_by(life["registry"], f"/parcels/{parcel}/tenure", renewal)
    assert (answer["version"], answer["until"]) == (2, "2070-12-31")
    assert parcel not in ending("registry", "2061-01-01")


def owner_of(life: Life, parcel: str) -> str:
    organisation = life["registry"].get(f"/parcels/{parcel}").json()["organisation"]
    return next(name for name, known in life.organisations.items() if known == organisation)


def test_a_parcel_is_suspended_and_reinstated(life: Life) -> None:
    parcel = life.parcels[1]
    was = life["registry"].get(f"/parcels/{parcel}").json()["status"]
    life.two("registry", f"/parcels/{parcel}/suspension", {"reason": "evidence_doubt"})
    assert life["registry"].get(f"/parcels/{parcel}").json()["status"] == "suspended"
    body = {"reason": "evidence_accepted"}
    assert life.two("registry", f"/parcels/{parcel}/reinstatement", body)["status"] == was
    assert life["registry"].get(f"/parcels/{parcel}").json()["status"] == was


def test_a_succession_that_is_none_is_refused(life: Life) -> None:
    name = owner_of(life, life.parcels[0])
    body = {
        "kind": "split",
        "programme": life.programme,
        "predecessors": [life.parcels[0]],
        "successors": [new_id()],
        "from_on": "2030-01-01",
        "evidence_sha256": DIGEST,
        "resolution_sha256": DIGEST,
    }
    refused = life[name].act("/successions", body)
    assert (refused.status_code, refused.json()["code"]) == (422, "succession_shape")
    assert life[name].get("/successions").json()["items"] == []
    assert life[name].get(f"/successions/{new_id()}").status_code == 404
