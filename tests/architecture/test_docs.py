"""Docs name every command, option and setting, and no file that does not exist."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest
from click import Group
from defects import DEFECTS
from sources import PACKAGES, ROOT, modules

from cds_service.__main__ import main
from cds_service.cards import dialects
from cds_service.hooks.audit import ON_RECORD_ALONE, AuditEvent
from cds_service.hooks.catalogue import SERVICES
from cds_service.settings.config import load_config
from cds_service.settings.deployment import GovernanceTable, Limits, ServiceFile, TlsTable
from cds_service.settings.escalation_file import ContactTable, EscalationTable, SmtpTable, uncovered
from cds_service.settings.issuers import IssuerTable
from cds_service.settings.sites import MAPPED, SiteFile
from cds_service.settings.smart import SmartTable
from cds_service.settings.trials import TrialClinicTable, TrialFile
from explanations.judgement.regions import DEFAULT_REGION
from explanations.words.help_lines import guideline
from explanations.words.notices.topics import HL7_REASONS
from fhir_adapters.resources.gathered import ALL_KEYS
from models.rules.findings import Topic
from models.rules.safety_rules import RULES
from smart_launch.pages.error_words import WORDS

PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").rglob("*.md"),
]
# An e-mail leads to a page, which needs a sign-in.
SIGN_IN = """
mode = "development"
public_url = "http://127.0.0.1:8080"
[governance]
issuer = "https://login.hospital.example"
client_id = "cds"
client_secret = { env = "PATH" }
[governance.roles]
responder = ["crisis-team"]
"""
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_every_command_and_option_is_documented() -> None:
    listed = {name: command for name, command in main.commands.items() if not isinstance(command, Group)}
    for group, inner in ((n, c) for n, c in main.commands.items() if isinstance(c, Group)):
        listed |= {f"{group} {name}": command for name, command in inner.commands.items()}
    for name, command in listed.items():
        assert f"`mhcds {name}" in OPERATIONS, name
        line = next(line for line in OPERATIONS.splitlines() if f"`mhcds {name}" in line)
        for parameter in command.params:
            for option in (o for o in parameter.opts if o.startswith("--") and o not in ("--help", "--config")):
                assert option in line or (option, name) == ("--host", "demo"), (name, option)


def test_every_picture_is_shown_somewhere_and_made_by_the_script() -> None:
    made = set(re.findall(r'Picture\(name="([\w-]+)"', (ROOT / "tests" / "pictures.py").read_text(encoding="utf-8")))
    shown = {name for page in PAGES for name in re.findall(r"images/([\w-]+)\.png", page.read_text(encoding="utf-8"))}

    assert made == shown == {path.stem for path in (ROOT / "docs" / "images").iterdir()}


def test_every_setting_is_documented() -> None:
    settings = (ServiceFile, Limits, TlsTable, GovernanceTable, SiteFile, IssuerTable, SmartTable)
    tables = (*settings, EscalationTable, ContactTable, SmtpTable, TrialFile, TrialClinicTable)
    for field in (field for table in tables for field in table.__struct_fields__):
        assert any(
            form in CONFIGURATION
            for form in (
                f"`{field}`",
                f"[[{field}]]",
                f"[{field}]",
                f"[[issuer.{field}]]",
                f"[governance.{field}]",
                f"[escalation.{field}]",
                f"[[escalation.{field}]]",
            )
        ), field
    for instrument in MAPPED:
        assert f"`{instrument}`" in CONFIGURATION


def test_the_example_of_the_configuration_page_loads(tmp_path: Path) -> None:
    service, site, approval, trial = re.findall(r"```toml\n(.+?)```", CONFIGURATION, re.DOTALL)
    (tmp_path / "sites").mkdir()
    (tmp_path / "approvals").mkdir()
    (tmp_path / "trials").mkdir()
    (tmp_path / "service.toml").write_text(service)
    (tmp_path / "sites" / "north.toml").write_text(site)
    (tmp_path / "approvals" / "depression.toml").write_text(approval)
    (tmp_path / "trials" / "wedge.toml").write_text(trial)

    config = load_config(tmp_path)

    assert config.address == "http://127.0.0.1:8080"
    assert config.limits.calls_per_minute == 0
    assert config.sites[0].issuers[0].keys[0].algorithms == ("ES384",)
    assert config.governed("north")
    assert [clinic.name for clinic in config.trials[0].clinics] == ["river", "hill"]


def test_the_example_of_the_escalation_page_loads(tmp_path: Path) -> None:
    (site,) = re.findall(r"```toml\n(.+?)```", (ROOT / "docs" / "escalation.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "north.toml").write_text(site)
    (tmp_path / "sites" / "pager.secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (tmp_path / "sites" / "mail.secret").write_text("quiet")
    (tmp_path / "service.toml").write_text(SIGN_IN)

    told = load_config(tmp_path).site("north").escalation

    assert [contact.name for contact in told.contacts] == ["Crisis desk", "Psychiatrist on call", "Nursing supervisor"]
    assert uncovered(told.contacts) == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "registering").glob("*.md")), ids=lambda page: page.stem)
def test_the_settings_of_every_recipe_load(tmp_path: Path, page: Path) -> None:
    for number, text in enumerate(re.findall(r"```toml\n(.+?)```", page.read_text(encoding="utf-8"), re.DOTALL)):
        folder = tmp_path / str(number)
        (folder / "sites").mkdir(parents=True)
        service = 'mode = "development"\nallow_public_sandbox = true\n'
        main, site = (text, "") if "public_url" in text else (service, text)
        (folder / "service.toml").write_text(main)
        (folder / "sites" / "north.toml").write_text(site)

        assert load_config(folder).sites


def test_the_allowed_links_of_the_registering_page_let_every_link_of_ours_through() -> None:
    written = [ROOT / "docs" / "registering.md", *sorted((ROOT / "docs" / "registering").glob("*.md"))]
    page = "\n".join(path.read_text(encoding="utf-8") for path in written)
    examples = [tomllib.loads(text) for text in re.findall(r"```toml\n(.+?)```", page, re.DOTALL)]
    lists = [example["allowed_links"] for example in examples if "allowed_links" in example]
    here = DEFAULT_REGION
    names = {name for topic in here.guidelines for age in (15, 40) for name in here.links(topic, age)}
    ours = {guideline(name).url for name in names if guideline(name)}

    assert len(lists) == 2
    for url in ours:
        assert url in page
        assert all(any(dialects._below(url, allowed) for allowed in listed) for listed in lists), url


def test_every_prefetch_key_topic_and_override_reason_is_documented() -> None:
    text = (ROOT / "docs" / "integration.md").read_text(encoding="utf-8")
    for name in (*ALL_KEYS, *(s.id for s in SERVICES), *(t.value for t in Topic), *HL7_REASONS):
        assert f"`{name}`" in text, name


def test_every_error_page_of_the_app_is_documented_once() -> None:
    text = (ROOT / "docs" / "smart-app-errors.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]

    assert sorted(name for row in rows for name in re.findall(r"`([\w-]+)`", row)) == sorted(WORDS)


def test_every_reason_for_a_401_is_documented() -> None:
    text = (ROOT / "docs" / "registering.md").read_text(encoding="utf-8")
    trust = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "cds_service" / "trust").glob("*.py"))

    for reason in re.findall(r'(?:Unauthenticated\(|return )"([a-z-]+)"', trust):
        assert f"`{reason}`" in text, reason


def test_every_field_of_a_call_in_the_log_is_documented() -> None:
    for field in (field.name for field in msgspec.structs.fields(AuditEvent) if field.name not in ON_RECORD_ALONE):
        assert f"`{field}`" in OPERATIONS, field


def test_every_library_that_an_install_brings_is_justified() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = [
        r for r in (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").splitlines() if r.startswith("|")
    ]
    named = {word for row in rows for word in re.findall(r"[\w.-]+", row.split("|")[1])}

    for wanted in (*project["dependencies"], *project["optional-dependencies"]["train"]):
        assert re.match(r"[\w.-]+", wanted)[0] in named, wanted


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_local_link_and_named_file_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target
    for named in re.findall(rf"`((?:{'|'.join(PACKAGES)}|tests|docs)/[\w./-]+)`", text):
        assert (ROOT / named).exists() or "<" in named, named


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_row_of_a_table_has_the_cells_of_its_head(page: Path) -> None:
    cells = 0
    for line in page.read_text(encoding="utf-8").splitlines():
        found = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not cells or found in (0, cells), line
        cells = found


def test_every_rule_says_which_rule_it_is() -> None:
    assert all(
        re.search(r"\bR\d+\b", rule.__doc__ or "") or "C-SSRS" in rule.__doc__ or "ASQ" in rule.__doc__
        for rule in RULES
    )


def test_architecture_names_every_room_of_the_house() -> None:
    rooms = {
        (inside.parents[1].name, inside.parent.name) for p in PACKAGES for inside in (ROOT / p).glob("*/__init__.py")
    }

    package, named = "", set()
    for name in re.findall(r"^ {4,}(\w+)/ +\w", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.MULTILINE):
        package = name if name in PACKAGES else package
        named.add((package, name))

    assert named - {(p, p) for p in PACKAGES} == rooms


def test_generated_pages_stand_apart_and_say_so_on_top() -> None:
    generated = (ROOT / "docs" / "generated").glob("*.md")
    said = {page.name for page in PAGES if "*Generated by `make" in page.read_text(encoding="utf-8")}

    assert {page.name for page in generated} == said
    for page in (ROOT / "docs" / "generated").glob("*.md"):
        assert page.read_text(encoding="utf-8").splitlines()[2].startswith("*Generated by `make")


DOTTED = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`")
FILES = {path.name for path in modules(*PACKAGES, "tests")}


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_function_and_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    for name in DOTTED.findall(text):
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute) or find_spec(name), name
    for name in re.findall(r"`(\w+\.py)`", text):
        assert name in FILES, name


def test_the_page_of_planted_defects_lists_those_that_are_planted() -> None:
    page = (ROOT / "docs" / "generated" / "defects.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \d+ \| (.+?) \| `([^`]+)` \|", page, re.MULTILINE)

    assert listed == [(defect.what, defect.file) for defect in DEFECTS]
    assert f"{len(DEFECTS)} planted, {len(DEFECTS)} noticed" in page


def test_every_planted_defect_is_still_a_change_of_its_file() -> None:
    lost = [d.what for d in DEFECTS if d.old not in (ROOT / d.file).read_text(encoding="utf-8")]

    assert lost == []
