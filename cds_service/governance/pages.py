"""The governance pages: each a function from desk and visitor to a response, and the rows that make them routes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response, request

from cds_service.control.refused import ActRefused
from cds_service.control.targets import TWO_PEOPLE, Mode
from cds_service.escalation.records import listed
from cds_service.governance import forms, views
from cds_service.governance.escalation_pages import (
    SHOWN_FOR,
    escalation_act,
    escalation_list,
    escalation_page,
    is_unfinished,
)
from cds_service.governance.figures_page import figures_page
from cds_service.governance.models_page import models_page
from cds_service.governance.rendering import page
from cds_service.governance.session import (
    ESCALATION,
    INCIDENT,
    LOOK,
    READ,
    SEARCH_PATIENT,
    SET_MODE,
    SWITCH,
    SWITCH_SAFETY,
    Desk,
    Right,
    Visitor,
    form_visitor,
    page_visitor,
    require,
)
from cds_service.incidents import incidents as incident_rows
from cds_service.incidents.incidents import Incident, NoSuchIncident
from cds_service.incidents.kinds import KINDS, IncidentKind, Severity
from models.inputs.outcomes import OUTCOMES
from models.rules.findings import Topic

# Nothing is switched or set that was not chosen.
CHOOSE = ("", "Choose…")
Shown = Callable[..., Response]
MODE_WORDS = {
    Mode.OFF: "Off: not asked",
    Mode.SILENT: "Silent: scored and recorded, no card",
    Mode.REVIEW: "Silent with review: the same, with a sample listed for review",
    Mode.PILOT: "Pilot: speaks to some",
    Mode.TRIAL: "Trial: speaks in the live arm of its protocol",
    Mode.LIVE: "Live: speaks to all",
}


def shown(desk: Desk, right: Right, show: Shown, **place: str) -> Response:
    """A page, for whoever may look. place: what its address names."""
    visitor = page_visitor(desk)
    require(desk, visitor, right)
    return show(desk, visitor, **place)


def acted(desk: Desk, right: Right, act: Callable[..., str], show: Shown, **place: str) -> Response:
    """The page again after a form, with what came of it. place: what its address names."""
    visitor = form_visitor(desk, right)
    try:
        said = act(desk, visitor, **place)
    except (ActRefused, NoSuchIncident) as error:
        return show(desk, visitor, status=400, fault=str(error), form=request.form, **place)
    return show(desk, visitor, said=said, **place)


def overview(desk: Desk, visitor: Visitor) -> Response:
    """What runs, what is off, what waits for somebody."""
    runtime = desk.runtime
    with desk.rows.store.transaction() as connection:
        chains, opt_outs = views.heads(connection), views.opted_out(connection)
        incidents = incident_rows.incidents(connection)
        told = listed(connection, open_only=False, since=runtime.now() - SHOWN_FOR)
    return page(
        "overview.html",
        visitor,
        waiting=[row for row in told if row.is_open and not row.drill],
        unfinished=[row for row in told if is_unfinished(row) and not row.drill],
        days=SHOWN_FOR.days,
        problem=runtime.problem(),
        switch_file=views.controls(runtime).problems,
        models=views.model_states(runtime, runtime.config()),
        switches=views.off_and_pending(runtime),
        service=views.service_facts(runtime.config()),
        chains=chains,
        opt_outs=opt_outs,
        incidents=_pressing_first(incidents),
        unverified={one.site for one in incidents if one.kind is IncidentKind.AUDIT_FAULT},
    )


def switches(desk: Desk, visitor: Visitor, **values: Any) -> Response:  # noqa: ANN401  # for the template
    """The switches, and a form for each."""
    there = forms.known(desk)
    subjects = [
        CHOOSE,
        ("all", "Everything, safety cards too"),
        *((f"model:{outcome}", f"Model: {outcome}") for outcome in OUTCOMES),
    ]
    subjects += [(f"topic:{t}", f"Cards: {t}{' (two people)' if t in TWO_PEOPLE else ''}") for t in Topic]
    shown = {"form": {}, "subjects": subjects, "switches": views.off_and_pending(desk.runtime)}
    shown |= {"sites": [(site, site) for site in there.sites], "services": [(name, name) for name in there.services]}
    return page("switches.html", visitor, **shown | values)


def modes(desk: Desk, visitor: Visitor, **values: Any) -> Response:  # noqa: ANN401  # for the template
    """The modes, and a form for one."""
    found = views.model_states(desk.runtime, desk.runtime.config())
    shown = {"form": {}, "models": found, "mode_choices": [CHOOSE, *((mode, MODE_WORDS[mode]) for mode in Mode)]}
    shown["model_choices"] = [(state.key, f"{state.outcome} {state.version}, site {state.site}") for state in found]
    shown["services"] = [(name, name) for name in forms.known(desk).services]
    return page("modes.html", visitor, **shown | values)


def approvals(desk: Desk, visitor: Visitor) -> Response:
    """The approvals as people read them, and what is missing."""
    config = desk.runtime.config()
    governed = [state for state in views.model_states(desk.runtime, config) if config.governed(state.site)]
    found = sorted(config.approvals, key=lambda approval: approval.id)
    return page("approvals.html", visitor, approvals=found, models=governed, today=desk.runtime.now().date())


def incidents(desk: Desk, visitor: Visitor, **values: Any) -> Response:  # noqa: ANN401  # for the template
    """The incidents: those open, or all."""
    everything = request.args.get("all") == "1"
    with desk.rows.store.transaction() as connection:
        found = incident_rows.incidents(connection, closed=everything)
    shown: dict[str, Any] = {
        "incidents": _pressing_first(found),
        "all": everything,
        "unsealed": partial(incident_rows.unsealed, key=desk.runtime.key),
    }
    return page("incidents.html", visitor, **shown | values)


def _pressing_first(found: list[Incident]) -> list[Incident]:
    """Open ones first, by severity; of one kind the newest first, as they come."""
    order = list(Severity)
    return sorted(found, key=lambda one: (one.status == incident_rows.CLOSED, order.index(one.severity)))


def audit(desk: Desk, visitor: Visitor, **values: Any) -> Response:  # noqa: ANN401  # for the template
    """The chains, and what was looked for in one of them."""
    with desk.rows.store.transaction() as connection:
        chains = views.heads(connection)
        faults = [one for one in incident_rows.incidents(connection) if one.kind is IncidentKind.AUDIT_FAULT]
    sites = [(site, site) for site in forms.known(desk).sites]
    shown: dict[str, Any] = {"form": {}, "chains": chains, "faults": faults, "sites": sites, "search": None}
    return page("audit.html", visitor, **shown | values)


def audit_search(desk: Desk) -> Response:
    """What was found; what was typed stands in no address, no log and no answer."""
    visitor = form_visitor(desk, READ)
    try:
        return audit(desk, visitor, search=forms.search(desk, visitor))
    except ActRefused as error:
        return audit(desk, visitor, status=400, fault=str(error), form={"site": forms.field("site")})


def configuration(desk: Desk, visitor: Visitor) -> Response:
    """The settings in force."""
    groups = views.shown_settings(desk.runtime.config())
    return page("configuration.html", visitor, groups=groups, problem=desk.runtime.problem())


# Endpoint, path, who may look, page.
PAGES: tuple[tuple[str, str, Right, Shown], ...] = (
    ("overview", "/", LOOK, overview),
    ("escalations", "/escalations", ESCALATION, escalation_list),
    ("switches", "/switches", READ, switches),
    ("modes", "/modes", READ, modes),
    ("approvals", "/approvals", READ, approvals),
    ("incidents", "/incidents", READ, incidents),
    ("figures", "/figures", READ, figures_page),
    ("models", "/models", READ, models_page),
    ("audit", "/audit", READ, audit),
    ("configuration", "/configuration", READ, configuration),
)
# One of several, by what its address names; not in the navigation.
ONE_OF: tuple[tuple[str, str, Right, Shown], ...] = (
    ("escalation", "/escalations/<identifier>", ESCALATION, escalation_page),
)
# Endpoint, path, who may, what is done, the page that says so.
ACTS: tuple[tuple[str, str, Right, Callable[..., str], Shown], ...] = (
    ("switch_off", "/switches/off", SWITCH, forms.switch_off, switches),
    ("switch_on", "/switches/on", SWITCH, forms.switch_on, switches),
    ("switch_confirm", "/switches/confirm", SWITCH_SAFETY, forms.confirm, switches),
    ("set_mode", "/modes/set", SET_MODE, forms.set_mode, modes),
    ("audit_verify", "/audit/verify", READ, forms.verify_chains, audit),
    ("incident_act", "/incidents/act", INCIDENT, forms.incident_act, incidents),
    ("escalation_act", "/escalations/<identifier>", ESCALATION, escalation_act, escalation_page),
)
IN_TEMPLATES = {
    "NAVIGATION": [(name, name.capitalize(), right) for name, _, right, _ in PAGES],
    "KINDS": KINDS,
    "SWITCH": SWITCH,
    "SWITCH_SAFETY": SWITCH_SAFETY,
    "SET_MODE": SET_MODE,
    "INCIDENT": INCIDENT,
    "ESCALATION": ESCALATION,
    "SEARCH_PATIENT": SEARCH_PATIENT,
    "event_facts": views.event_facts,
    "when": views.when,
}
