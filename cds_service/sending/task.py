"""A draft Task in the site's own EHR, written with our own token: created once, and looked at for what became of it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from cds_service.backend.backend import Backend, BackendFailed
from cds_service.escalation.links import PatientLink
from cds_service.sending import attempt
from cds_service.sending.attempt import Claimed, SendResult
from cds_service.settings.escalation import Contact
from cds_service.settings.sites import SiteConfig
from explanations.words.pages.escalation_message import ContactWords
from fhir_adapters.access.addresses import same_base
from fhir_adapters.errors import FhirError, WriteInvalid, WriteRefused
from fhir_adapters.writing.drafts import MESSAGE_SYSTEM, escalation_task


def create(
    backend: Backend, site: SiteConfig, contact: Contact, message: Claimed, patient: PatientLink | None,
    words: ContactWords, link: str, now: datetime,
) -> SendResult:  # fmt: skip
    """Creates the Task unless it is there. patient: None for a rehearsal, whose Task is in nobody's chart."""
    if patient is not None and not _is_ours(site, patient):
        # The id could be another person's there.
        return SendResult(failure="patient of another server", final=True)
    resource = escalation_task(
        message.id,
        description=f"{words.summary} {link}".strip(),
        patient_id=patient.patient_id if patient else None,
        owner=contact.owner,
        at=datetime.fromisoformat(message.at),
        end=now + timedelta(minutes=contact.within_min),
    )
    deadline = time.monotonic() + attempt.ATTEMPT_S
    try:
        for is_last in (False, True):
            writer = backend.writer(site, patient.patient_id if patient else None, deadline)
            try:
                # For servers that pass over the condition: what was written and not answered is there.
                known = writer.find("Task", MESSAGE_SYSTEM, message.id) if message.attempts > 1 else None
                return SendResult(reference=known or writer.create(resource).reference)
            except WriteRefused:
                backend.forget(site)
                if is_last:
                    raise
    except BackendFailed:
        return SendResult(failure="no token")
    except FhirError as error:
        return SendResult(failure=type(error).__name__, final=isinstance(error, WriteInvalid))
    raise AssertionError


def _is_ours(site: SiteConfig, patient: PatientLink) -> bool:
    """Whether the patient's id is one of the server that the Task goes to."""
    base = site.backend.base if site.backend else ""
    if patient.server is not None:
        return same_base(patient.server, base)
    return len(site.reading.fhir_bases) == 1 and same_base(site.reading.fhir_bases[0], base)
