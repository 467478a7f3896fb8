"""The SMART link on cards: CDSH and SMART-070."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import AS_OF, PATIENT, given, open_app, patient, prefetch_of
from hypothesis import given as drawn
from hypothesis import strategies as st

from cds_service.cards.wire import Card, Coding, Source
from cds_service.hooks.app_links import topic_of, with_app_links
from cds_service.keys.data_key import new_key
from cds_service.settings.config import default_config
from explanations.words.language import language
from smart_launch.settings import Registration

BASE = "https://ehr.example/fhir"
ADDRESS = "https://cds.example"
KEY = new_key()
REGISTERED = Registration(site="default", iss=BASE, client_id="ours", label="North")
SITE = replace(default_config().sites[0], smart=(REGISTERED,))
POSITIVE = Card(
    uuid="c1", summary="s", detail="d", indicator="warning",
    source=Source(label="l", topic=Coding(code="positive-safety-answer", system="x", display="y")),
)  # fmt: skip


def linked(**changes) -> list[Card]:
    known = {"site": SITE, "address": ADDRESS, "server": BASE, "patient_id": "p1", "key": KEY, "now": AS_OF}
    return with_app_links([POSITIVE], **(known | changes))


def test_a_card_leads_to_the_app_by_a_constant_address() -> None:
    (card,) = linked()
    (link,) = card.links

    assert (link.label, link.url, link.type) == ("Open detailed view", f"{ADDRESS}/smart/launch", "smart")
    assert topic_of(link.app_context, "default", "p1", KEY, AS_OF) == "positive-safety-answer"
    assert "p1" not in link.app_context


def test_the_same_call_gives_the_same_reference() -> None:
    assert linked() == linked()


@pytest.mark.parametrize(
    "changes",
    [{"site": default_config().sites[0]}, {"address": None}, {"server": "https://other.example/fhir"}],
    ids=["not registered", "no address", "of another server"],
)
def test_there_is_no_link_to_an_app_that_would_not_show_this_chart(changes: dict) -> None:
    assert linked(**changes) == [POSITIVE]


@pytest.mark.parametrize(
    "wanted",
    [
        {"patient_id": "p2"},
        {"site": "other"},
        {"now": AS_OF + timedelta(hours=13)},
        {"key": new_key()},
    ],
    ids=["of another patient", "of another site", "of yesterday", "of another deployment"],
)
def test_a_reference_counts_for_its_patient_and_site_for_half_a_day(wanted: dict) -> None:
    known = {"site": "default", "patient_id": "p1", "key": KEY, "now": AS_OF}

    assert topic_of(linked()[0].links[0].app_context, **(known | wanted)) is None


@drawn(st.text(max_size=200), st.integers(0, 400))
def test_what_we_did_not_sign_names_nothing(text: str, place: int) -> None:
    good = linked()[0].links[0].app_context
    spoiled = good[:place] + text + good[place + len(text) :]

    found = topic_of(spoiled, "default", "p1", KEY, AS_OF)

    # Base64 has more than one way to write a signature; what is signed has one.
    assert found is None or spoiled.rpartition(".")[0] == good.rpartition(".")[0]


def test_a_real_call_answers_with_the_link_first() -> None:
    app = open_app(replace(default_config(), sites=(SITE,), address=ADDRESS), now=lambda: AS_OF)
    call = {
        "hook": "patient-view",
        "hookInstance": "i",
        "context": {"userId": "Practitioner/doc", "patientId": PATIENT},
        "prefetch": prefetch_of([patient(), *given("PHQ-9, 6 days ago: item 9 = 1")]),
    }
    (card,) = app.test_client().post("/cds-services/depression-suicide-risk", json=call).get_json()["cards"]

    assert [link["type"] for link in card["links"]] == ["smart", "absolute", "absolute"]
    assert set(card["links"][0]) == {"label", "url", "type", "appContext"}


def test_the_link_is_labelled_in_the_language_of_its_card() -> None:
    spanish = replace(SITE, cards=replace(SITE.cards, say=replace(language("es"), reviewed=True)))

    assert linked(site=spanish)[0].links[0].label == "Abrir la vista detallada"
    assert (
        linked(site=replace(SITE, cards=replace(SITE.cards, say=language("es"))))[0].links[0].label
        == "Open detailed view"
    )
