"""Settings: one good file read in full, and one mistake a file refused with file, key and remedy."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from pathlib import Path

import pytest

from cds_service.demo_ehr.config import demo_config
from cds_service.errors import ConfigError
from cds_service.settings.alerts import AlertSettings, StopRule
from cds_service.settings.config import default_config, load_config, read_config
from cds_service.settings.escalation import Hours, MessageContent
from cds_service.settings.monitoring import AuditGroup, MonitoringSettings, Prices
from cds_service.settings.sites import OnMissing
from explanations.judgement.alert_limits import NO_LIMITS, AlertLimits
from explanations.judgement.regions import REGIONS
from explanations.words.help_lines import CrisisLine
from fhir_adapters.instruments import Instrument
from fhir_adapters.resources.consent import ConsentSettings
from fhir_adapters.settings import ReadSettings

# Plain http on this machine, which the good example names, is for development alone.
DEVELOPMENT = 'mode = "development"\n'
EXAMPLES = Path(__file__).parents[2] / "config"
# What the message must name, per file.
MISTAKES = {
    "unknown-language": 'language: expected "en" or "es"; found "xx"',
    "unknown-second-language": 'languages: expected "en" or "es"; found "spanish"',
    "region-by-country": 'country: replaced by region; write region = "US" instead',
    "unknown-region": "region: expected",
    "crisis-line-never-checked": "[[crisis_line]] checked: expected the day on which the number was last checked",
    "crisis-line-of-tomorrow": "[[crisis_line]] checked: expected a day up to today",
    "crisis-line-in-words": '[[crisis_line]] call: expected a number as dialled within the country, such as "116 123"; found "ring the desk"',
    "crisis-line-of-a-language-by-name": '[[crisis_line]] languages: expected codes of two or three letters (BCP 47), such as "es"; found "Spanish", "sp"',
    "crisis-line-with-a-word-to-nowhere": '[[crisis_line]] sms: expected the number that "HELP" is sent to; found none',
    "crisis-line-with-marks": "[[crisis_line]] service: expected plain text, since it stands in the markdown of cards; found * [ ]",
    "unknown-key": "time_zome",
    "no-such-zone": "time_zone",
    "threshold-of-one": "depression",
    "threshold-of-no-outcome": "depresion",
    "wrong-type": "show_probability",
    "not-toml": "not-toml",
    "unknown-instrument": "phq-9m",
    "map-without-source": "found neither",
    "map-with-two-sources": "found both",
    "unknown-item": "acuity",
    "open-http-base": "fhir_bases",
    "safety-plan-by-script": "safety_plan_url: expected an https address",
    "no-time-to-fetch": "fetch_budget_s",
    "unknown-consent": "consent",
    "audit-kept-for-a-day": "[retention] audit_days: expected 30 to 36500; found 1",
    "card-once-in-ten-years": "[alerts] model_days: expected 0 (no limit) to 365; found 3650",
    "stopped-by-ten-cards": "[alerts.stop] cards: expected 0 (never stop) or 30 to 100000",
    "stopped-by-percent": "[alerts.stop] acceptance: expected a share from 0 to 1; found 10",
    "gap-card-once-a-week": "gap_card_every_h: expected 0 (at every call) to 24; found 168",
    "unknown-answer-to-a-gap": "on_missing",
    "rules-off-without-a-policy": '[opt_out] policy: required with rules = "off"',
    "opt-out-asked-in-no-language": '[opt_out.ask]: expected "en"',
    "issuer-for-nothing": '[[issuer]] uses: expected "switch"; found "switches"',
    "subscription-without-backend": "[subscription]: required with it: [backend]",
    "backend-at-another-server": '[backend] base: expected "https://ehr.example/fhir"; found',
    "two-contacts-of-one-name": '[[escalation.contact]] no. 2 name: "crisis  DESK" is another contact\'s; give each its own',
    "contact-without-address": "[[escalation.contact]] webhook: expected a table with url and secret; found none",
    "contact-without-channel": '[[escalation.contact]] channel: expected "webhook" or "email" or "task"; found none',
    "contact-at-odd-hours": '[[escalation.contact]] hours: expected days and times such as "Mon-Fri 08:00-18:00" or "Sat,Sun 22:00-06:00"; found "weekdays 8-18"',
    "contact-with-a-day-to-answer": "[[escalation.contact]] within_min: expected 1 to 240; found 1440",
    "email-without-a-mail-server": "[[escalation.contact]] channel: an e-mail is sent by [escalation.smtp]; add it",
    "email-without-pages": '[[escalation.contact]] "Crisis desk": its messages lead to a governance page',
    "escalation-at-two-servers": "fhir_bases: expected one with [escalation]",
    "task-without-backend": "[[escalation.contact]] channel: a task is written with [backend]; add it, or choose another",
    "escalation-without-contacts": "[escalation] contact: expected at least one [[escalation.contact]]; found none",
    "chart-without-a-patient": "[escalation] chart_url: expected an https address with {patient} once, for the patient's id; found",
    "mail-password-in-the-clear": '[escalation.smtp] security: a password is sent encrypted alone; expected "starttls" or "tls"',
    "outcome-after-a-year": "[monitoring] outcome_days: expected 1 to 60, since a later result says little",
    "group-that-is-not-read": 'groups: expected "race-ethnicity" or "language" or "payer"; found "income"',
    "price-without-currency": "[monitoring.prices] currency: expected three capital letters such as USD (ISO 4217)",
    "price-below-nothing": "[monitoring.prices] cpu_hour: expected 0 to 10000; found -1",
    "keys-trusted-for-a-month": "jwks_max_age_h: expected 1 to 168; found 720",
}


def folder(tmp_path: Path, *files: Path, service: str = "") -> Path:
    (tmp_path / "sites").mkdir()
    for file in files:
        (tmp_path / "sites" / file.name.replace(".good", "").replace(".bad", "")).write_text(file.read_text())
    (tmp_path / "service.toml").write_text(service or DEVELOPMENT)
    return tmp_path


def test_a_good_file_is_read_in_full(tmp_path: Path) -> None:
    config = load_config(folder(tmp_path, EXAMPLES / "site.good.toml", service=DEVELOPMENT + "body_bytes = 3000000\n"))

    both = replace(config, sites=(replace(config.site(), id="other", reading=ReadSettings()), config.site()))
    site = both.site_of(("other", "north"), "http://127.0.0.1:9000/fhir")
    assert (site.id, config.body_bytes) == ("north", 3_000_000)
    assert site.cards.zone.key == "America/Chicago"
    assert site.cards.show_probability
    assert site.cards.safety_plan == "https://forms.example/safety-plan?lang=en"
    assert (site.gap_card_every_h, default_config().site().gap_card_every_h) == (4, 8)
    assert (site.on_missing, default_config().site().on_missing) == (OnMissing.REFUSE, OnMissing.CARD)
    assert [issuer.jwks_max_age_h for issuer in site.issuers] == [48]
    assert [issuer.uses for issuer in site.issuers] == [("hooks", "opt-out")]
    assert (site.backend.base, site.backend.hosts) == ("https://ehr.example/fhir/r4", ("login.ehr.example",))
    assert site.backend.scopes == ("system/*.rs", "system/Task.crs")
    assert default_config().site().backend is None
    assert site.alerts == AlertSettings(
        limits=AlertLimits(model_days=60, assessed_days=21, repeat_h=24, daily=0, snooze_days=14, declined_days=180),
        stop=StopRule(acceptance=0.05, cards=500),
    )
    assert default_config().site().alerts == AlertSettings(limits=NO_LIMITS, stop=StopRule(cards=0))
    assert site.monitoring == MonitoringSettings(
        outcome_days=21,
        groups=(AuditGroup.LANGUAGE, AuditGroup.RACE_ETHNICITY),
        publish=True,
        prices=Prices(currency="USD", cpu_hour=0.05, clinician_hour=140.0),
    )
    assert default_config().site().monitoring == MonitoringSettings(outcome_days=14, groups=(), publish=False)
    assert site.rules_off_policy == "Policy 12.4 of 2026-05-01, section 3"
    assert default_config().site().rules_off_policy is None
    assert (site.cards.region, site.judgement.region) == (REGIONS["US"], REGIONS["US"])
    assert site.cards.crisis_lines == (
        CrisisLine(
            service="Night line of the county",
            call="555 0100",
            sms="555 0101",
            sms_word="HELP",
            languages=("en", "es"),
            checked=date(2026, 11, 20),
        ),
    )
    assert site.cards.contact == "On-call psychiatry: ext. 4410"
    assert site.thresholds.by_outcome == {"depression": 0.3, "suicidal-ideation": 0.1}
    assert site is both.site_of(("other", "north"), "HTTPS://EHR.example:443/fhir/r4")
    assert (site.reading.budget_s, site.reading.zone) == (1.5, site.cards.zone)
    assert site.reading.consent == ConsentSettings(use="not-used", substance_use="consented")
    assert site.reading.maps[1].instrument is Instrument.EPDS
    assert site.reading.maps[1].items == {"E10": "10", "ET": "total"}


def test_who_is_told_is_read_in_full(tmp_path: Path) -> None:
    site = load_config(folder(tmp_path, EXAMPLES / "told.good.toml")).site()
    told = site.escalation
    assert (told.content, told.chart_url) == (MessageContent.INITIALS_AND_PLACE, "https://ehr.example/chart#{patient}")
    assert [(each.name, each.owner, each.within_min) for each in told.contacts] == [
        ("Crisis desk", "PractitionerRole/17", 5),
        ("Night desk", None, 15),
    ]
    assert told.contacts[1].hours[1] == Hours(days=frozenset({5, 6}), start=time(0), end=time(0))
    assert default_config().site().escalation is None


@pytest.mark.parametrize("content", ["link", "initials-and-place"])
def test_in_production_a_message_that_is_a_link_alone_needs_the_pages(
    tmp_path: Path, content: str, monkeypatch
) -> None:
    monkeypatch.setenv("PAGER_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    place = folder(tmp_path, service='mode = "production"\n')
    (place / "sites" / "north.toml").write_text(
        f'[escalation]\ncontent = "{content}"\n[[escalation.contact]]\nname = "Desk"\nchannel = "webhook"\n'
        'webhook = { url = "https://pager.example/", secret = { env = "PAGER_SECRET" } }\n'
    )

    _, problems = read_config(place)

    lacks = any("Desk" in problem and "add [governance]" in problem for problem in problems)
    assert lacks is (content == "link")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_file_and_key(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(folder(tmp_path, EXAMPLES / f"{name}.bad.toml"))

    assert f"{name}.toml" in str(caught.value)
    assert MISTAKES[name] in str(caught.value)


@pytest.mark.parametrize("value", ["412", '"412"'])
def test_412_is_understood_as_a_number_and_as_text(tmp_path: Path, value: str) -> None:
    place = folder(tmp_path, EXAMPLES / "site.good.toml")
    (place / "sites" / "site.toml").write_text(f"on_missing = {value}\n")

    assert load_config(place).site().on_missing is OnMissing.REFUSE


def test_every_example_file_is_tested() -> None:
    assert {p.name.removesuffix(".bad.toml") for p in EXAMPLES.glob("*.bad.toml")} == set(MISTAKES)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(folder(tmp_path, EXAMPLES / "unknown-key.bad.toml", EXAMPLES / "no-such-zone.bad.toml"))

    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["body_bytes = 10", "fetch_budget_s = 2", "bodybytes = 5"])
def test_a_service_file_out_of_range_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"service\.toml"):
        load_config(folder(tmp_path, service=text))


ODD = {
    "a broken public_url": ('public_url = "https://[x"', "", "public_url"),
    "a public_url of two lines": ('public_url = "https://h.example/a\\nX: y"', "", "public_url"),
    "a public_url that leads elsewhere": ('public_url = "https://h.example//evil.example"', "", "public_url"),
    "a port that is none": ('public_url = "https://h:abc"', "", "public_url"),
    "a broken origin": ('cors_origins = ["https://[x"]', "", "cors_origins"),
    "an origin in capitals": ('cors_origins = ["https://EHR.example"]', "", "cors_origins"),
    "a broken store": ('store = "postgresql://u@h:abc/db"', "", "store"),
    "a store that is a folder": ('store = "sqlite:///sites"', "", "store"),
    "a proxy that is no address": ('trusted_proxies = ["proxy.example"]', "", "trusted_proxies"),
    "everybody a proxy": ('trusted_proxies = ["0.0.0.0/0"]', "", "trusted_proxies"),
    "certificates of nonsense": ('tls = { certificate = "service.toml", key = "service.toml" }', "", "tls"),
    "an endless body": ("body_bytes = 999999999999999999", "", "body_bytes"),
    "threads without number": ("limits = { concurrent_calls = 100000 }", "", "concurrent_calls"),
    "a zone that is a continent": ("", 'time_zone = "America"', "time_zone"),
    "a long id": ("", f'id = "{"x" * 101}"', "id"),
    "a broken key address": ("", '[[issuer]]\niss = "a"\njwks_url = "https://[x"', "jwks_url"),
    "a key port that is none": ("", '[[issuer]]\niss = "a"\njwks_url = "https://h:99999/x"', "jwks_url"),
    "a key that is odd": ("", '[[issuer]]\niss = "a"\nkeys = [{ kty = "EC", kid = "k", crv = ["P-384"] }]', "JWK"),
    "a key set without keys": ("", '[[issuer]]\niss = "a"\njwks_file = "empty.json"', "jwks_file"),
    "a key set of nothing": ("", '[[issuer]]\niss = "a"\njwks_file = "null.json"', "jwks_file"),
    "a key set that is a number": ("", '[[issuer]]\niss = "a"\njwks_file = "number.json"', "jwks_file"),
}


@pytest.mark.parametrize("name", ODD)
def test_settings_that_are_odd_are_named_with_file_and_key_and_nothing_breaks(tmp_path: Path, name: str) -> None:
    service, site, named = ODD[name]
    (tmp_path / "sites").mkdir()
    (tmp_path / "service.toml").write_text(DEVELOPMENT + service)
    (tmp_path / "sites" / "north.toml").write_text(site)
    for file, content in (("empty", '{"keys": []}'), ("null", '{"keys": null}'), ("number", "7")):
        (tmp_path / "sites" / f"{file}.json").write_text(content)

    with pytest.raises(ConfigError, match=named) as caught:
        load_config(tmp_path)
    assert ".toml" in str(caught.value)


def test_two_sites_of_one_id_are_refused(tmp_path: Path) -> None:
    good = (EXAMPLES / "site.good.toml").read_text()
    (tmp_path / "sites").mkdir()
    for name in ("a", "b"):
        (tmp_path / "sites" / f"{name}.toml").write_text(good)

    (tmp_path / "service.toml").write_text(DEVELOPMENT)

    with pytest.raises(ConfigError, match=r'a\.toml and b\.toml have "north"'):
        load_config(tmp_path)


def test_an_unknown_site_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(ConfigError, match="demo"):
        demo_config().site("elsewhere")


def test_a_models_folder_is_found_below_the_settings(tmp_path: Path) -> None:
    config = load_config(folder(tmp_path, EXAMPLES / "site.good.toml", service=DEVELOPMENT + 'models = "mine"\n'))

    assert config.models == tmp_path / "mine"


def test_what_a_site_says_on_the_model_cards_is_read_and_what_it_leaves_out_is_nothing(tmp_path: Path) -> None:
    place = folder(tmp_path, EXAMPLES / "site.good.toml")
    (place / "model-card.toml").write_text('[depression]\ncontact = "Board"\napproved_on = "2027-01-05"\n')

    cards = load_config(place).model_cards

    assert (cards["depression"].contact, cards["depression"].approved_on) == ("Board", "2027-01-05")
    assert cards["depression"].validity is None
    assert cards["suicidal-ideation"].contact is None


@pytest.mark.parametrize(
    ("content", "named"), [("[depresion]\n", "depresion"), ("[depression]\ncontact = 4\n", "contact"), ("[", "TOML")]
)
def test_a_mistake_in_the_model_card_file_is_refused_with_file_and_key(
    tmp_path: Path, content: str, named: str
) -> None:
    place = folder(tmp_path, EXAMPLES / "site.good.toml")
    (place / "model-card.toml").write_text(content)

    with pytest.raises(ConfigError, match=r"model-card\.toml") as caught:
        load_config(place)
    assert named in str(caught.value)
