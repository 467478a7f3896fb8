"""The record, and FHIR's only home: R4 resources in, a `PatientRecord` of typed facts out."""
