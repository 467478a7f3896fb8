"""The page of a chart from a file, without a launch: one HTML document with its style, no script, nothing to press."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup

from smart_launch.chart.reading import Reading
from smart_launch.chart.summary import summary_of
from smart_launch.launch.guard import OpenLaunch
from smart_launch.pages import language
from smart_launch.session.sessions import LaunchContext, Session
from smart_launch.settings import AppSite, Registration

PACKAGE = Path(__file__).parents[1]


def file_page(reading: Reading, site: AppSite, name: str) -> str:
    """The page as one document, in the site's language. name: of the file, as the page names it."""
    launch = _no_launch(site, reading.assessment.chart.patient_id)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(PACKAGE / "templates"), autoescape=True)
    language.install(environment)
    style = (PACKAGE / "static" / "app.css").read_text("utf-8")
    return environment.get_template("smart/file.html").render(
        say=launch.say,
        launch=launch,
        summary=summary_of(reading, launch),
        style=Markup(style),  # noqa: S704  # our own
        file=name,
        # Links to other pages of the app are links within this one.
        url_for=lambda *_, **__: "",
    )


def _no_launch(site: AppSite, patient: str) -> OpenLaunch:
    """Rights to nothing: what needs an EHR is not offered."""
    registration = Registration(site=site.id, iss="", client_id="", label="", write_back=False)
    session = Session(
        launch_id="",
        site=site.id,
        iss="",
        client_id="",
        user=None,
        context=LaunchContext(patient=patient),
        scopes=(),
        token="",
        token_expires=0,
        refresh_token=None,
        csrf="",
        started=0,
    )
    return OpenLaunch(session=session, site=site, registration=registration, say=site.languages[0], expires_in=0)
