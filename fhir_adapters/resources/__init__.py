"""FHIR JSON as typed structs: what is there, whose it is, what may be used. No code list, no clinical meaning."""
