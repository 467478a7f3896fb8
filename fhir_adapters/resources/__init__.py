"""FHIR JSON as typed structs, their owner, and consent. No code list, no clinical meaning."""
