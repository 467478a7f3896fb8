"""What can go wrong at FHIR's door.

FhirError
├── NotFhir            the JSON is not a FHIR resource that we can take
├── NoPatient          there is no patient, or more than one, to whom the data could belong
├── WrongPatient       the Patient sent is not the patient asked about
└── FetchFailed        a FHIR server refused, failed or answered with something else
"""

from __future__ import annotations


class FhirError(Exception):
    """Base of this package. The message says what was expected, what was found and what to do; no patient data."""


class NotFhir(FhirError):
    """The JSON is not a FHIR resource that we can take."""


class NoPatient(FhirError):
    """No patient, or more than one, to whom the data could belong."""


class WrongPatient(FhirError):
    """The Patient sent is not the patient asked about."""


class FetchFailed(FhirError):
    """A FHIR server refused, failed, timed out, or answered with something else."""
