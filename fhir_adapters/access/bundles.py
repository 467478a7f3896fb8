"""A whole chart in one Bundle, the input of `mhcds assess`, to `Gathered`."""

from __future__ import annotations

from datetime import datetime

from fhir_adapters.errors import NoPatient, NotFhir
from fhir_adapters.facts import ChartPart, Unknown
from fhir_adapters.reading.lists.chart_resources import STEP_TYPES
from fhir_adapters.resources import r4
from fhir_adapters.resources.belonging import owner_of
from fhir_adapters.resources.consent import allowed
from fhir_adapters.resources.gathered import WHOLE_CHART, Gathered, once
from fhir_adapters.settings import ReadSettings


def chart_bundle(raw: bytes, *, settings: ReadSettings, as_of: datetime) -> Gathered:
    """The chart in `raw`: a Bundle with exactly one Patient. What cannot be read is unknown, not absent.

    Its Consents count as in a hook call. Raises NotFhir when it is not a Bundle, NoPatient when it holds no Patient,
    several, or one without id.
    """
    whole = r4.read(raw)
    if whole.kind != "Bundle" or whole.content is None:
        raise NotFhir(f"expected a FHIR Bundle; found {whole.kind}", whole.fault)
    held = r4.contents(whole)
    resources = once((*held.resources, *held.included))
    patients = [r for r in resources if r.kind == "Patient"]
    if len(patients) != 1:
        raise NoPatient(f"expected a Bundle with one Patient; found {len(patients) or 'none'}")
    patient = patients[0]
    if patient.content is None:
        raise NoPatient("the Patient resource cannot be read", patient.fault)
    if not patient.content.id:
        raise NoPatient("expected a Patient with an id; found one without")
    consent = allowed(
        (r for r in resources if r.kind == "Consent"),
        owner_of(patient.content.id, patient, settings.fhir_bases),
        settings.consent,
        today=as_of.astimezone(settings.zone).date(),
        zone=settings.zone,
    )
    # Care plans and appointments are used only at discharge, which a chart alone does not indicate.
    chart = [r for r in resources if r is not patient and r.kind not in ("Consent", *STEP_TYPES)]
    open_to_us = tuple(r for r in chart if not r.labels & consent.withheld)
    return Gathered(
        patient_id=patient.content.id,
        patient=patient,
        resources=open_to_us,
        known=WHOLE_CHART,
        unknown=(Unknown(what=ChartPart.REST, reason=held.fault, needed=True),) if held.fault else (),
        fhir_bases=settings.fhir_bases,
        consent=consent.consent,
        withheld=len(chart) - len(open_to_us),
    )
