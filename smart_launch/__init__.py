"""The SMART on FHIR app: launch, sessions, pages about one chart, forms and what they write.

It may import `explanations`, `models` and `fhir_adapters`, never `cds_service`.
"""
