"""A whole chart in one Bundle, as `mhcds assess` is given it, to `Gathered`."""

from __future__ import annotations

from fhir_adapters import r4
from fhir_adapters.errors import NoPatient, NotFhir
from fhir_adapters.facts import Unknown
from fhir_adapters.gathered import REST, WHOLE_CHART, Gathered


def chart_bundle(raw: bytes) -> Gathered:
    """The chart in `raw`: a Bundle with exactly one Patient. What of it cannot be read is unknown, not absent.

    Raises NotFhir when it is no Bundle, NoPatient when it holds no Patient, several, or one without id.
    """
    whole = r4.read(raw)
    if whole.kind != "Bundle" or whole.content is None:
        raise NotFhir(f"expected a FHIR Bundle; found {whole.kind}{f': {whole.fault}' if whole.fault else ''}")
    found = r4.contents(whole.content)
    resources = (*found.resources, *found.included)
    patients = [r for r in resources if r.kind == "Patient"]
    if len(patients) != 1:
        raise NoPatient(f"expected a Bundle with one Patient; found {len(patients) or 'none'}")
    patient = patients[0]
    if patient.content is None:
        raise NoPatient(f"the Patient resource cannot be read: {patient.fault}")
    if not patient.content.id:
        raise NoPatient("expected a Patient with an id; found one without")
    return Gathered(
        patient_id=patient.content.id,
        patient=patient,
        resources=tuple(r for r in resources if r is not patient),
        known=WHOLE_CHART,
        unknown=(Unknown(what=REST, reason=found.fault, needed=True),) if found.fault else (),
    )
