"""`mhcds check-config`: every problem of every file in one run, in our own words, and no secret in any of them."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.commands.check_config import check_config
from cds_service.settings.config import load_config, read_config
from cds_service.settings.mismatches import mismatches, unnamed_lines
from explanations.judgement.assessment import Engine

SERVICE = 'mode = "development"\n'
ISSUER = '[[issuer]]\niss = "https://ehr.example"\njwks_url = "https://ehr.example/keys"\n'
SMART = '[[smart]]\niss = "https://ehr.example/fhir"\nclient_id = "us"\n'
BASES = 'fhir_bases = ["https://ehr.example/fhir"]\n'
HTTPS = "expected an https address (http on this machine in development only)"
REFERENCE = '{ file = "..." } or { env = "NAME" }'
# What msgspec, tomllib and the operating system say of a value.
OF_A_LIBRARY = re.compile(r"`|\$\.|Object |Expected |Invalid |Cannot |Unclosed|Unterminated|\(at |Errno|Error:.*Error")


def folder(place: Path, site: str = "", service: str = SERVICE, **more: str) -> Path:
    (place / "sites").mkdir(parents=True)
    (place / "service.toml").write_text(service)
    for name, text in {"north": site, **more}.items():
        (place / "sites" / f"{name}.toml").write_text(text)
    return place


def problems_of(place: Path) -> list[str]:
    """Its problems, with the paths from the folder on."""
    return [problem.replace(f"{place}/", "") for problem in read_config(place)[1]]


IN_A_SITE = {
    # what is no TOML, and how far it can be read all the same
    "text without quotation marks": (
        "id = north\ncolour = 1\n",
        ["line 1, column 6: expected text in quotation marks, a number, true or false", "colour: no such setting; remove it"],
    ),
    "typographic quotation marks": ("id = “north”\n", ['line 1, column 6: expected straight quotation marks: "']),
    "capital letters": ("show_probability = True\n", ["line 1, column 20: expected true, in small letters"]),
    "as in YAML": ("show_probability: yes\n", ["line 1, column 17: expected = between key and value"]),
    "no value": ("id =\nlanguage = 'xx'\n", ["line 1, column 5: expected a value after =", 'language: expected "en" or "es"; found "xx"']),
    "an open text": ('id = "north\n', ["line 1, column 12: expected a quotation mark at the end too"]),
    "a header with a bracket too few": (ISSUER.replace("]]", "]"), ["line 1, column 9: expected two brackets on either side"]),
    "a comma too few": (
        'fhir_bases = [\n  "https://a.example"\n  "https://b.example"\n]\n',
        ["line 3, column 3: not TOML; expected key = value, or a comma before the next value of a list"],
    ),
    "an open list": (
        'fhir_bases = ["https://a.example"\nid = "x"\n',
        ["line 2, column 1: not TOML; expected a closing bracket or quotation mark further up"],
    ),
    "a key twice": ('id = "a"\nid = "b"\n', ["line 2, column 9: id stands here for a second time; keep one of them"]),
    "several": (
        "id = “x”\nshow_probability = no\nfetch_budget_s = 900\n",
        [
            'line 1, column 6: expected straight quotation marks: "',
            "line 2, column 20: expected false, in small letters",
            "fetch_budget_s: expected above 0 and at most 60; found 900.0",
        ],
    ),
    # keys
    "a misspelt key, whose value is read": (
        'time_zome = "Mars"\n',
        ["time_zome: no such setting; write time_zone", 'time_zone: expected an IANA name such as America/Chicago; found "Mars"'],
    ),
    "a key of service.toml": ('public_url = "x"\n', ["public_url: belongs into service.toml"]),
    "a key below a table": (
        f'{ISSUER}language = "xx"\n',
        ["[[issuer]] language: belongs above the first line that has brackets around it", 'language: expected "en" or "es"; found "xx"'],
    ),
    # types
    "text for a truth": ('show_probability = "yes"\n', ['show_probability: expected true or false without quotation marks; found "yes"']),
    "text for a number": ('gap_card_every_h = "8"\n', ['gap_card_every_h: expected a whole number without quotation marks; found "8"']),
    "half an hour": ("gap_card_every_h = 0.5\n", ["gap_card_every_h: expected a whole number without quotation marks; found 0.5"]),
    "a truth for a number": ("fetch_budget_s = true\n", ["fetch_budget_s: expected a number without quotation marks; found true"]),
    "a number for text": ("client_id = 7\n", ["client_id: expected text in quotation marks; found 7"]),
    "a date for text": ("client_id = 2026-11-30\n", ["client_id: expected text in quotation marks; found a date or time"]),
    "text for a list": ('fhir_bases = "https://a.example"\n', ['fhir_bases: expected a list, ["https://a.example"]; found "https://a.example"']),
    "text for tables": ('issuer = "x"\n', ['issuer: expected a table [[issuer]]; found "x"']),
    "one pair of brackets": (ISSUER.replace("[[", "[").replace("]]", "]"), ["issuer: expected a table [[issuer]]; found [issuer]"]),
    "a table that is none": ("thresholds = 0.5\n", ["thresholds: expected a table; found 0.5"]),
    "a choice": ('consent = "notused"\n', ['consent: expected "not-used"; found "notused"']),
    "a choice like none": ('dialect = "x"\n', ['dialect: expected "epic" or "generic" or "oracle-health" or "sandbox"; found "x"']),
    # values
    "thresholds": (
        "[thresholds]\ndepresion = 0.3\nsuicidal-ideation = 1.0\n",
        ['[thresholds]: expected key "depression"; found "depresion"', "[thresholds] suicidal-ideation: expected a number between 0 and 1; found 1.0"],
    ),
    "a whole number for a choice": ("on_missing = 412.0\n", ['on_missing: expected "412" or "card"; found 412.0']),
    "numbers of many digits": (
        f"fetch_budget_s = {'9' * 400}\ngap_card_every_h = 0x{'f' * 5000}\nid = {'9' * 400}\n",
        [
            "fetch_budget_s: expected a number without quotation marks; found a number of too many digits",
            "gap_card_every_h: expected a whole number without quotation marks; found a number of too many digits",
            "id: expected text in quotation marks; found a number of too many digits",
        ],
    ),
    "a line that alone is worse": (
        f"fhir_bases = [\nb = {'[' * 5000}\n]\nid = 1\n",
        ["line 2, column 1: not TOML; expected key = value, or a comma before the next value of a list", "id: expected text in quotation marks; found 1"],
    ),
    "a name that is none": (
        f'{SMART}authentication = "client_secret_post"\nclient_secret = {{ file = "\\u0000" }}\n',
        [
            "[[smart]] client_secret file: expected text; found the character U+0000",
            f"[[smart]] client_secret: expected {REFERENCE}; found neither file nor env",
        ],
    ),
    "a key that moves a terminal": (
        '[[questionnaire]]\ninstrument = "epds"\nsystem = "y"\nitems = { "a\\u001b\\nb" = 2026-11-30, c = "item10" }\n',
        ["[[questionnaire]] items a\ufffd\ufffdb: expected text in quotation marks; found a date or time"],
    ),
    "a version": ('[models]\ndepression = "9"\n', ['[models] depression: expected "2.0.0" or "3.0.0"; found "9"']),
    "an open FHIR server": (
        'fhir_bases = ["http://a.example", "https://b.example"]\n',
        ['fhir_bases: expected addresses such as https://ehr.example/fhir (http on this machine in development only); found "http://a.example"'],
    ),
    "an issuer of nothing": ("[[issuer]]\n", ["[[issuer]] iss: expected the iss of the client's tokens; found none", "[[issuer]]: expected one of jwks_url, jwks_file and [[issuer.keys]]; found none"]),
    "an issuer of much": (
        '[[issuer]]\niss = "a"\njwks_url = "http://u:hunter2@x.example/k?hunter2"\njwks_file = "none.json"\nalgorithms = ["HS256"]\nmax_lifetime_s = 0\nleeway_s = 61\n',
        [
            "[[issuer]]: expected one of jwks_url, jwks_file and [[issuer.keys]]; found jwks_url and jwks_file",
            f'[[issuer]] jwks_url: {HTTPS}; found "http://…@x.example/k?…"',
            '[[issuer]] algorithms: expected "ES256" or "ES384" or "RS384" or "RS256" or "PS384"; found "HS256"',
            "[[issuer]] max_lifetime_s: expected 1 to 86400; found 0",
            "[[issuer]] leeway_s: expected 0 to 60; found 61",
            "[[issuer]] jwks_file: expected a JWK Set (an object with an array keys) in sites/none.json",
        ],
    ),
    "the second of two": (f'{SMART}{SMART.replace("fhir", "r4")}idle_s = 5\n', ["[[smart]] no. 2 idle_s, absolute_s: expected 60 to 3600, and from idle_s to 86400; found 5 and 28800"]),
    "a registration of nothing": (
        "[[smart]]\n",
        [f"[[smart]] iss: {HTTPS}; found none", "[[smart]] client_id: expected the client id that the EHR gave us, 1 to 1000 printable characters; found none"],
    ),
    "the same EHR twice": (SMART + SMART, ['sites: [[smart]] iss: 2 tables have "https://ehr.example/fhir"; a launch names nothing else, so only one may']),
    "a form of much": (
        '[[questionnaire]]\ninstrument = "phq9m"\ncanonical = "x"\nsystem = "y"\n',
        [
            '[[questionnaire]] instrument: expected "phq-9m"; found "phq9m"',
            "[[questionnaire]]: expected canonical (a form) or system (codes); found both",
            '[[questionnaire]] items: expected which linkId or code is which item, such as { q1 = "item1" }',
        ],
    ),
    "an item": ('[[questionnaire]]\ninstrument = "epds"\nsystem = "y"\nitems = { a = "itm10" }\n', ['[[questionnaire]] items a: expected "item10"; found "itm10"']),
    # secrets
    "a secret in its place": (
        f'{SMART}authentication = "client_secret_post"\nclient_secret = "hunter2"\n',
        [f"[[smart]] client_secret: expected {REFERENCE}; found text"],
    ),
    "a secret for the name of its variable": (
        f'{SMART}authentication = "client_secret_post"\nclient_secret = {{ env = "hunter2" }}\n',
        ["[[smart]] client_secret: the environment variable that it names is not set or empty"],
    ),
    "a secret for the name of its file": (
        f'{SMART}authentication = "client_secret_post"\nclient_secret = {{ file = "hunter2" }}\n',
        ["[[smart]] client_secret: the file that it names cannot be read as text (relative paths start at sites)"],
    ),
    "a secret that nothing uses": (
        f'{SMART}client_secret = {{ env = "hunter2" }}\n',
        ['[[smart]] client_secret: expected none with authentication = "private_key_jwt", the default; remove it, or write the authentication that uses it'],
    ),
    "a number for a secret": (
        f'{SMART}authentication = "client_secret_post"\nclient_secret = 4711\n',
        [f"[[smart]] client_secret: expected {REFERENCE}; found a value"],
    ),
    "a secret under a misspelt key": (f'{SMART}client_secert = "hunter2"\n', ["[[smart]] client_secert: no such setting; write client_secret", f"[[smart]] client_secret: expected {REFERENCE}; found text"]),
    "a secret in a line that is no TOML": (f'{SMART}client_secret = hunter2"\n', ["line 4, column 17: expected text in quotation marks, a number, true or false", f"[[smart]] client_secret: expected {REFERENCE}; found text"]),
    "a private key": (
        '[[issuer]]\niss = "a"\n[[issuer.keys]]\nkty = "EC"\ncrv = "P-384"\nkid = "k"\nd = "hunter2"\n',
        ["[[issuer]]: key k: expected a public key; found a private or shared one, remove it from here"],
    ),
    "a key of other types": (
        '[[issuer]]\niss = "a"\n[[issuer.keys]]\nkty = 1\nkid = "hunter2"\n',
        ["[[issuer]]: expected a JWK: kty and kid in it, which are text, as are crv, alg and use"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_A_SITE)
def test_every_problem_of_a_sites_file_is_named_and_nothing_else(tmp_path: Path, name: str) -> None:
    text, expected = IN_A_SITE[name]

    found = problems_of(folder(tmp_path, text))

    assert found == [e if e.startswith("sites: ") else f"sites/north.toml: {e}" for e in expected]
    assert not OF_A_LIBRARY.search("\n".join(found))
    assert "hunter2" not in "\n".join(found)


IN_SERVICE = {
    "an unknown mode": ('mode = "prod"\n', ['mode: expected "development" or "production"; found "prod"']),
    "a misspelt mode": ('mode = "developement"\n', ['mode: expected "development"; found "developement"']),  # codespell:ignore developement
    "a mode without quotation marks": ("mode = development\n", ["line 1, column 8: expected text in quotation marks, a number, true or false"]),
    "nothing": ("", ['public_url: required; the https address clients call, for example "https://cds.example" (or mode = "development" on this machine)']),
    "an address with more": ('public_url = "https://u:hunter2@h.example/?hunter2"\n', ['public_url: expected an https address without query (http on this machine in development); found "https://…@h.example/?…"']),
    "a setting of a site": (f'{SERVICE}fhir_bases = ["x"]\n', ["fhir_bases: belongs into sites/*.toml"]),
    "a password": (f'{SERVICE}store = "postgresql://u:hunter2@h/d"\ndata_key = "hunter2"\n',
        [f"data_key: expected {REFERENCE}; found text", 'store: holds a password; put the address in a file, store = { file = "..." }']),
    "limits": (f'{SERVICE}[limits]\ncalls_per_minute = -1\nconcurrent_call = 0\ndeadline_s = "4"\n', [
        "[limits] concurrent_call: no such setting; write concurrent_calls",
        '[limits] deadline_s: expected a number without quotation marks; found "4"',
        "[limits] calls_per_minute: expected 0 (no limit) or more; found -1",
        "[limits] concurrent_calls: expected 1 to 1000; found 0"]),
    "half a certificate": (f'{SERVICE}[tls]\ncertificate = "c.pem"\n', ['[tls] certificate: expected a PEM file; found nothing at "c.pem"', "[tls] key: expected a PEM file; found none"]),
    "a key for a list of references": (f'{SERVICE}smart_keys = "hunter2"\n', [f"smart_keys: expected a list, [{REFERENCE}]; found text", f"smart_keys: expected {REFERENCE}; found text"]),
    "a key with two places": (f'{SERVICE}data_key = {{ env = "A", file = "b" }}\n', [f"data_key: expected {REFERENCE}; found both"]),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_SERVICE)
def test_every_problem_of_service_toml_is_named_and_nothing_else(tmp_path: Path, name: str) -> None:
    text, expected = IN_SERVICE[name]

    found = problems_of(folder(tmp_path, ISSUER, service=text))

    assert found == [f"service.toml: {e}" for e in expected]
    assert not OF_A_LIBRARY.search("\n".join(found))
    assert "hunter2" not in "\n".join(found)


def test_ten_problems_of_three_files_come_in_one_run_file_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.serving.engine.load_engine", lambda *_: Engine())
    place = folder(
        tmp_path,
        f'id = "a"\nlanguage = "xx"\n{SMART}client_secret = "hunter2"\n',
        service='mode = "development"\nbody_bytes = 1\nspeed = 3\n[limits]\ndeadline_s = 900\n',
        south=f"id = “a”\ncountry = 'UK'\n{SMART}idle_s = 1\n",
    )

    done = CliRunner().invoke(check_config, [str(place)])
    lines = done.stderr.replace(f"{place}/", "").splitlines()

    assert done.exit_code == 1
    assert lines[0] == "Error: 10 problems; with these settings the service does not start"
    files = [line for line in lines[1:] if line and not line.startswith("  ")]
    assert files == [
        "service.toml",
        "sites/north.toml",
        "sites/south.toml",
        "sites",
        "Every setting is in docs/configuration.md.",
    ]
    assert len([line for line in lines if line.startswith("  ")]) == 10
    assert "hunter2" not in done.output


def test_a_file_that_is_no_text_or_far_too_deep_is_named(tmp_path: Path) -> None:
    place = folder(tmp_path, deep=f"id = {'[' * 5000}\n", digits=f"gap_card_every_h = {'9' * 5000}\n")
    (place / "sites" / "north.toml").write_bytes(b"\xff\xfe")
    (place / "sites" / "folder.toml").mkdir()

    found = problems_of(place)

    assert [problem.partition(":")[0] for problem in found] == [
        f"sites/{n}.toml" for n in ("deep", "digits", "folder", "north")
    ]


def test_a_file_name_that_is_too_long_is_named(tmp_path: Path) -> None:
    name = "c" * 300

    found = problems_of(folder(tmp_path, service=f'{SERVICE}[tls]\ncertificate = "{name}"\nkey = "{name}"\n'))

    assert [p.partition(";")[0] for p in found] == [
        f"service.toml: [tls] {key}: expected a PEM file" for key in ("certificate", "key")
    ]


def test_a_mark_of_byte_order_as_windows_writes_it_is_no_problem(tmp_path: Path) -> None:
    place = folder(tmp_path)
    (place / "sites" / "north.toml").write_bytes(b'\xef\xbb\xbfid = "a"\r\n')

    assert problems_of(place) == []
    assert read_config(place)[0].site().id == "a"


# ---- valid settings that do not fit each other ----

LOCAL = 'public_url = "http://127.0.0.1:8080"\n'
MISMATCHES = {
    "none": (BASES + ISSUER + SMART, "", []),
    "an EHR that may not be read": (BASES.replace("/fhir", "/r4") + SMART, "", ["iss https://ehr.example/fhir is not among fhir_bases", "/r4 has no [[smart]]"]),
    "another spelling is the same": (BASES.replace("ehr.example/fhir", "EHR.example:443/fhir/") + SMART, "", []),
    "no base": (ISSUER, "", ["no fhir_bases: FHIR servers on this machine alone are read"]),
    "a public address that is this machine": (BASES + SMART, LOCAL, ["only a browser on this machine can open the app"]),
    "scopes without a user": (f'{BASES}{SMART}scopes = ["patient/Patient.rs", "patient/Task.c"]\n', "", ["scopes lack openid and fhirUser"]),
    "scopes without a patient": (f'{BASES}{SMART}scopes = ["openid", "fhirUser", "patient/Task.c"]\n', "", ["no right to read Patient"]),
    "scopes without writing": (f'{BASES}{SMART}scopes = ["openid", "fhirUser", "patient/Patient.rs"]\n', "", ["write_back, but no scope to write"]),
    "the sandbox from its browser": (f'{BASES}[[issuer]]\niss = "https://sandbox.cds-hooks.org"\njwks_url = "https://sandbox.cds-hooks.org/k"\n', "allow_public_sandbox = true\n", ["cors_origins"]),
    "the sandbox and a tick": (f'{BASES}dialect = "sandbox"\n', "", ["as if all were well"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISMATCHES)
def test_settings_that_do_not_fit_are_warned_of(tmp_path: Path, name: str) -> None:
    site, service, expected = MISMATCHES[name]
    config, problems = read_config(
        folder(tmp_path, site, service=SERVICE + (service or 'public_url = "https://cds.example"\n'))
    )

    found = list(mismatches(config, config.site()))

    assert problems == []
    assert len(found) == len(expected)
    assert all(words in line for words, line in zip(expected, found, strict=True))


ENGLAND = 'region = "GB-ENG"\nshow_probability = true\n[thresholds]\ndepression = 0.2\n'
NEW = '[[crisis_line]]\nservice = "Night line"\ncall = "555 0100"\nchecked = 2026-11-30\n'
IN_ENGLISH = f'{NEW}languages = ["en"]\n'
OWN = '[[crisis_line]]\nservice = "Night line"\ncall = "555 0100"\nchecked = 2026-04-01\n'


@pytest.mark.parametrize(
    ("site", "day", "words"),
    [
        (ENGLAND, date(2026, 12, 1), ["no model is asked here, so [thresholds], show_probability does nothing"]),
        ('region = "generic"\n', date(2026, 12, 1), ["no emergency number is on file", "no crisis line is on file"]),
        (OWN, date(2026, 12, 1), ["Night line was last checked on 2026-04-01: it is no longer shown"]),
        ("", date(2027, 5, 1), ["988 Suicide & Crisis Lifeline was last checked on 2026-11-23: it is shown until 2027-05-22"]),
        ("", date(2027, 6, 1), ["it is no longer shown, the emergency number is; check it, and write it in [[crisis_line]]"]),
        (IN_ENGLISH, date(2026, 12, 1), ["988 Suicide & Crisis Lifeline is not named, since a [[crisis_line]] of yours"]),
        (
            NEW.replace("555 0100", "112") + 'audience = "emergency"\n', date(2026, 12, 1),
            ["emergency number of cards is 112", 'that of region "US" is 911'],
        ),
        (NEW, date(2026, 12, 1), []),
        (IN_ENGLISH + NEW.replace("555 0100", "988"), date(2026, 12, 1), []),
        ("", date(2026, 12, 1), []),
    ],
)  # fmt: skip
def test_what_a_region_lacks_and_crisis_lines_whose_check_is_too_old_are_named(
    tmp_path: Path, site: str, day: date, words: list[str]
) -> None:
    one = load_config(folder(tmp_path, site)).site()
    config = load_config(tmp_path)

    found = [
        line for line in (*mismatches(config, one), *unnamed_lines(one, day)) if "region" in line or "crisis" in line
    ]

    assert all(any(word in line for line in found) for word in words), found
    assert bool(found) is bool(words)
