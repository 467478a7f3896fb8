"""The demo EHR's charts in memory, and its FHIR R4 API on them."""
