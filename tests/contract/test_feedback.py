"""Feedback on cards: section G of the checklist (requirements.toml)."""

from __future__ import annotations

import json
import logging
import uuid

import pytest
from ehr import ADDRESS, FEEDBACK
from hook_calls import ACUTE, POSITIVE, call_of, client_of, diagnostics, path_of

from cds_service.hooks.catalogue import SERVICES
from cds_service.keys.data_key import key_beside
from cds_service.storage import tables
from cds_service.storage.opening import open_store

WHEN = "2026-11-23T15:04:05Z"
OURS = "urn:mental-health-cds:override-reason"
COMMENT = "Quillfeather said <b>no</b>; seen by Dr Zebulon"
HOOKS = [pytest.param(s, id=s.hook) for s in SERVICES]


@pytest.fixture
def client(tmp_path):
    return client_of(tmp_path)


@pytest.fixture
def card(client) -> dict:
    """A card that was sent."""
    (found,) = client.call(POSITIVE).get_json()["cards"]
    return found


def overridden(card: str, *, timestamp: str = WHEN, **why) -> dict:
    found = {"card": card, "outcome": "overridden", "outcomeTimestamp": timestamp}
    return found | ({"overrideReason": why} if why else {})


def accepted(card: dict) -> dict:
    taken = [{"id": s["uuid"]} for s in card["suggestions"]]
    return {"card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": taken, "outcomeTimestamp": WHEN}


def send(client, *items: dict, **wanted):
    return client.post(FEEDBACK, {"feedback": list(items)}, **wanted)


def stored(client) -> list[dict]:
    found = open_store(f"sqlite:///{client.folder / 'data' / 'mhcds.db'}")
    try:
        return found.rows(tables.feedback)
    finally:
        found.close()


def pseudonym(client, text: str) -> str:
    return key_beside(client.folder / "data" / "mhcds.db").pseudonym("north", text)


def anybody() -> str:
    return str(uuid.uuid4())


@pytest.mark.parametrize("service", HOOKS)
def test_cdsh_149_150_feedback_is_posted_below_the_service_as_an_object_with_a_list(client, service) -> None:
    (card,) = client.call(POSITIVE, service=service).get_json()["cards"]

    got = client.post(f"{path_of(service)}/feedback", {"feedback": [overridden(card["uuid"])]})

    assert (got.status_code, got.content_type) == (200, "application/json")
    assert [(row["service"], row["card"]) for row in stored(client)] == [(service.id, card["uuid"])]


def test_cdsh_150_one_body_may_hold_cards_of_several_calls(client) -> None:
    cards = [client.call(line).get_json()["cards"][0] for line in (POSITIVE, ACUTE, POSITIVE)]

    got = send(client, accepted(cards[0]), overridden(cards[1]["uuid"]), overridden(cards[2]["uuid"]))

    assert got.status_code == 200
    rows = stored(client)
    assert [row["card"] for row in rows] == [card["uuid"] for card in cards]
    assert len({row["answer"] for row in rows}) == 3


def test_feedback_is_stored_with_the_card_and_the_answer_that_it_is_about(client, card) -> None:
    send(client, overridden(card["uuid"].upper()))

    (row,) = stored(client)
    found = open_store(f"sqlite:///{client.folder / 'data' / 'mhcds.db'}")
    (sent,) = found.rows(tables.card)
    found.close()
    assert (row["answer"], row["topic"]) == (sent["answer"], "positive-safety-answer")
    assert sent["uuid"] == row["card"] == card["uuid"]


@pytest.mark.parametrize("card", [..., None, "", 7, {}])
def test_cdsh_151_an_item_without_a_card_is_refused(client, card) -> None:
    item = {name: value for name, value in (overridden("x") | {"card": card}).items() if value is not ...}

    got = send(client, item)

    assert got.status_code == 400
    assert "card" in diagnostics(got)


@pytest.mark.parametrize("outcome", [..., None, "", "ignored", "ACCEPTED", 1])
def test_cdsh_152_an_outcome_is_accepted_or_overridden_and_nothing_else(client, outcome) -> None:
    item = {name: value for name, value in (overridden("x") | {"outcome": outcome}).items() if value is not ...}

    got = send(client, item)

    assert got.status_code == 400
    assert "outcome" in diagnostics(got)


def test_cdsh_153_an_accepted_card_names_the_suggestions_that_were_taken(client, card) -> None:
    got = send(client, accepted(card))

    assert got.status_code == 200
    assert stored(client)[0]["suggestions"] == [suggestion["uuid"] for suggestion in card["suggestions"]]


@pytest.mark.parametrize("taken", [..., None, [], [{}], [{"id": ""}], ["x"], "x"])
def test_cdsh_153_accepted_without_a_suggestion_is_refused(client, card, taken) -> None:
    item = {
        name: value for name, value in (accepted(card) | {"acceptedSuggestions": taken}).items() if value is not ...
    }

    got = send(client, item)

    assert got.status_code == 400
    assert "acceptedSuggestions" in diagnostics(got)
    assert stored(client) == []


@pytest.mark.parametrize(
    "when", ["2026-11-23T15:04:05Z", "2026-11-23T15:04:05.123456789Z", "2026-11-23T10:04:05-05:00", "2026-11-23t15:04:05.1z", "2026-11-23T15:04:05+00:00", "2026-12-31T23:59:60Z"]
)  # fmt: skip
def test_cdsh_154_a_moment_with_fraction_or_offset_is_taken(client, card, when: str) -> None:
    assert send(client, overridden(card["uuid"], timestamp=when)).status_code == 200
    assert stored(client)[0]["outcome_at"] == when


@pytest.mark.parametrize("when", [..., None, "", "2026-11-23", "2026-11-23T15:04:05", "23.11.2026 15:04", "2026-13-45T00:00:00Z", 1795446000])  # fmt: skip
def test_cdsh_154_an_item_without_a_moment_and_its_zone_is_refused(client, card, when) -> None:
    item = overridden(card["uuid"]) | {"outcomeTimestamp": when}

    got = send(client, {name: value for name, value in item.items() if value is not ...})

    assert got.status_code == 400
    assert "outcomeTimestamp" in diagnostics(got)


def test_cdsh_155_a_plain_dismissal_needs_no_reason(client, card) -> None:
    for absent in ({}, {"overrideReason": None}):
        assert send(client, overridden(card["uuid"]) | absent).status_code == 200

    assert [(row["reason_code"], row["comment"]) for row in stored(client)] == [(None, None)]


@pytest.mark.parametrize("why", [{}, {"reason": {}}, {"reason": {"system": OURS}}, {"reason": None, "userComment": ""}])
def test_cdsh_155_a_reason_that_says_nothing_is_refused(client, card, why: dict) -> None:
    got = send(client, overridden(card["uuid"]) | {"overrideReason": why})

    assert got.status_code == 400
    assert "overrideReason" in diagnostics(got)


@pytest.mark.parametrize(
    "why",
    [
        {"reason": {"code": "assessed", "system": OURS, "display": "Assessed; documented in my note"}},
        {"reason": {"code": "assessed", "system": OURS}},
        {"reason": {"code": "assessed"}, "userComment": ""},
        {"code": "assessed", "system": OURS, "display": "Assessed; documented in my note"},
        {"code": "assessed"},
    ],
    ids=["whole", "no display", "code alone", "coding in its place", "code in its place"],
)
def test_cdsh_155_156_a_coded_reason_is_stored_in_whatever_shape_it_comes(client, card, why: dict) -> None:
    assert send(client, overridden(card["uuid"]) | {"overrideReason": why}).status_code == 200

    (row,) = stored(client)
    assert (row["reason_code"], row["reason_hl7"]) == ("assessed", "action-completed")


def test_a_reason_of_somebody_elses_list_is_stored_and_stands_for_none_of_ours(client, card) -> None:
    send(client, overridden(card["uuid"], reason={"code": "not-now", "system": "https://ehr.example/reasons"}))

    (row,) = stored(client)
    assert (row["reason_system"], row["reason_code"], row["reason_hl7"]) == (
        pseudonym(client, "https://ehr.example/reasons"),
        pseudonym(client, "not-now"),
        None,
    )


def test_every_reason_of_ours_is_kept_as_it_is(client, card) -> None:
    codes = [reason["code"] for reason in card["overrideReasons"]]

    send(client, *(overridden(card["uuid"], reason={"code": code}) for code in codes))

    assert [row["reason_code"] for row in stored(client)] == codes


def test_of_ids_and_codes_that_are_not_ours_only_pseudonyms_are_kept(client, card, caplog) -> None:
    """Each may hold a patient's id or name, here Zebulon's."""
    taken = [{"id": card["suggestions"][0]["uuid"].upper()}, {"id": "Zebulon-suggestion"}]
    items = [
        overridden("Zebulon-card", reason={"code": "Zebulon-code", "system": "urn:Zebulon"}),
        overridden(card["uuid"], reason={"code": "Zebulon-code", "system": OURS}),
        overridden(card["uuid"], reason={"code": "Zebulon-code"}),
        accepted(card) | {"acceptedSuggestions": taken},
        accepted(card) | {"card": anybody()},
    ]
    with caplog.at_level(logging.DEBUG):
        assert send(client, *items).get_json()["stored"] == 5
        assert send(client, *items).get_json()["stored"] == 0
        client.call(POSITIVE, hookInstance="Zebulon-instance")

    foreign, list_of_ours, no_list, partly, unknown = stored(client)
    code = pseudonym(client, "Zebulon-code")
    assert (foreign["card"], foreign["reason_system"], foreign["reason_code"]) == (
        pseudonym(client, "Zebulon-card"),
        pseudonym(client, "urn:Zebulon"),
        code,
    )
    assert (list_of_ours["reason_system"], list_of_ours["reason_code"], list_of_ours["reason_hl7"]) == (
        OURS,
        code,
        None,
    )
    assert (no_list["reason_system"], no_list["reason_code"], no_list["reason_hl7"]) == (None, code, None)
    assert partly["suggestions"] == [card["suggestions"][0]["uuid"], pseudonym(client, "Zebulon-suggestion")]
    assert unknown["suggestions"] == [pseudonym(client, suggestion["uuid"]) for suggestion in card["suggestions"]]
    assert b"zebulon" not in client.database().lower()
    assert "zebulon" not in caplog.text.lower()


def test_one_item_without_the_list_around_it_is_taken(client, card) -> None:
    assert client.post(FEEDBACK, overridden(card["uuid"])).status_code == 200
    assert [row["card"] for row in stored(client)] == [card["uuid"]]


def test_cdsh_157_an_exact_repeat_changes_nothing(client, card) -> None:
    item = overridden(card["uuid"], userComment=COMMENT)

    counts = [send(client, item).get_json()["stored"] for _ in range(3)]
    together = send(client, item, item)

    assert counts == [1, 0, 0]
    assert together.get_json() == {"received": 2, "stored": 0}
    assert len(stored(client)) == 1


def test_cdsh_157_later_and_contradicting_reports_are_stored_beside_the_first(client, card) -> None:
    send(client, overridden(card["uuid"]))
    send(client, accepted(card) | {"outcomeTimestamp": "2026-11-23T15:09:00Z"})
    send(client, overridden(card["uuid"], timestamp="2026-11-23T16:00:00Z", userComment=COMMENT))

    assert [row["outcome"] for row in stored(client)] == ["overridden", "accepted", "overridden"]


def test_an_override_quiets_no_safety_card(client, card) -> None:
    send(client, overridden(card["uuid"], reason={"code": "entered-in-error", "system": OURS}))

    again = client.call(POSITIVE).get_json()["cards"]

    assert [c["source"]["topic"]["code"] for c in again] == ["positive-safety-answer"]


@pytest.mark.parametrize("card", ["3f0f5f0e-0b1c-4c39-9b51-5f0a6e1d2c44", "not-a-uuid", "x" * 200])
def test_cdsh_158_feedback_on_a_card_that_is_not_known_is_taken(client, card: str) -> None:
    got = send(client, overridden(card))

    assert got.status_code == 200
    assert [(row["card"], row["answer"]) for row in stored(client)] == [(pseudonym(client, card), None)]


def test_cdsh_158_feedback_at_a_service_that_there_is_not_is_404(client) -> None:
    path = "/cds-services/none/feedback"

    assert client.post(path, {"feedback": [overridden(anybody())]}).status_code == 404


def test_cdsh_159_one_malformed_item_is_named_and_nothing_of_its_body_is_stored(client, card) -> None:
    good, bad = overridden(card["uuid"]), overridden(anybody()) | {"outcome": "maybe"}

    got = send(client, good, bad, good)

    assert got.status_code == 400
    assert "feedback[1].outcome" in diagnostics(got)
    assert stored(client) == []
    assert send(client, good).get_json() == {"received": 1, "stored": 1}


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"7", b"{}", b'{"feedback": null}', b'{"feedback": []}', b'{"feedback": {}}', b'{"feedback": [7]}', b'{"feedback": [null]}', b'{"feedback": [NaN]}', b"\xff", b'{"feedback":' + b"[" * 100_000])  # fmt: skip
def test_cdsh_150_159_a_body_that_is_no_feedback_is_a_400(client, body: bytes) -> None:
    got = client.post(FEEDBACK, data=body, content_type="application/json")

    assert got.status_code == 400
    diagnostics(got)


def test_cdsh_160_feedback_is_signed_for_its_own_address(client, card) -> None:
    body = {"feedback": [overridden(card["uuid"])]}

    unsigned = client.flask.post(FEEDBACK, json=body)
    for_the_call = client.flask.post(FEEDBACK, json=body, headers=client.ehr.headers(ADDRESS))

    assert (unsigned.status_code, for_the_call.status_code) == (401, 401)
    assert stored(client) == []
    assert client.flask.post(FEEDBACK, json=body, headers=client.ehr.headers(FEEDBACK)).status_code == 200


def test_cdsh_161_unknown_members_and_extensions_change_nothing_at_any_level(client, card) -> None:
    extra = {"extension": {"com.epic.cdshooks.feedback.topic": "positivesafetyanswer"}, "com.example.more": [None, 7]}
    why = {"reason": {"code": "not-now", "system": OURS} | extra} | extra
    taken = [{"id": card["suggestions"][0]["uuid"]} | extra]
    items = [
        overridden(card["uuid"]) | extra | {"overrideReason": why},
        accepted(card) | extra | {"acceptedSuggestions": taken},
    ]

    assert client.post(FEEDBACK, {"feedback": items} | extra).status_code == 200
    assert [row["reason_code"] for row in stored(client)] == ["not-now", None]


def test_cdsh_162_a_comment_is_sealed_in_the_database_and_in_no_line_of_the_log(client, card, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        got = send(client, overridden(card["uuid"], userComment=COMMENT))

    (row,) = stored(client)
    assert key_beside(client.folder / "data" / "mhcds.db").unseal(row["comment"]) == COMMENT
    for word in ("Quillfeather", "Zebulon"):
        assert word.encode() not in client.database()
        assert word not in caplog.text
        assert word not in got.get_data(as_text=True)
    assert '"event": "feedback"' in caplog.text


def test_cdsh_162_a_comment_is_taken_whatever_letters_it_holds_and_one_without_end_is_refused(client, card) -> None:
    assert send(client, overridden(card["uuid"], userComment="Él dijo «no» 🙁\n\x07")).status_code == 200

    long = send(client, overridden(card["uuid"], userComment="x" * 20_000))

    assert long.status_code == 400
    assert "userComment" in diagnostics(long)


def test_no_refusal_of_feedback_repeats_what_was_sent(client) -> None:
    secret = "Zebulon"
    for item in (
        overridden(secret) | {"outcome": secret},
        overridden("x" * 300, userComment=secret),
        overridden("x", timestamp=secret),
        overridden("x") | {"overrideReason": secret},
        {"card": {secret: secret}},
    ):
        got = send(client, item)
        assert got.status_code == 400
        assert secret not in got.get_data(as_text=True)


@pytest.mark.parametrize("text", ["x\x00", "x\n", "x" * 257])
def test_a_code_that_some_database_would_not_take_is_refused_rather_than_sent_again_and_again(client, text) -> None:
    suggestion = {"uuid": "x", "suggestions": [{"uuid": text}]}

    for bad in (overridden(text), overridden("x", reason={"code": text}), accepted(suggestion)):
        assert send(client, bad).status_code == 400
    # 256 letters whose small forms are two letters each.
    assert send(client, overridden("İ" * 256)).status_code == 400


def test_feedback_on_a_card_of_another_site_is_not_linked_to_it(tmp_path) -> None:
    from ehr import issuer_table

    sites = {name: {"consent": "not-used", "issuer": [issuer_table(tenants=[name])]} for name in ("one", "two")}
    client = client_of(tmp_path, sites=sites)

    def post(path: str, body: dict, tenant: str):
        headers = {"Authorization": f"Bearer {client.ehr.token(path, tenant=tenant)}"}
        return client.flask.post(path, json=body, headers=headers)

    (card,) = post(ADDRESS, call_of(SERVICES[0], POSITIVE), "one").get_json()["cards"]
    for tenant in ("two", "one"):
        assert post(FEEDBACK, {"feedback": [overridden(card["uuid"])]}, tenant).status_code == 200

    assert [(row["site"], row["answer"] is None) for row in stored(client)] == [("two", True), ("one", False)]


def test_a_batch_of_500_is_taken_and_one_of_501_refused(client) -> None:
    def batch(size: int) -> bytes:
        return json.dumps({"feedback": [overridden(anybody()) for _ in range(size)]}).encode()

    taken = client.post(FEEDBACK, data=batch(500), content_type="application/json")
    too_many = client.post(FEEDBACK, data=batch(501), content_type="application/json")

    assert taken.get_json() == {"received": 500, "stored": 500}
    assert too_many.status_code == 400
