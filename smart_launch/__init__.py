"""The SMART on FHIR app shell: an explained assessment on a page of its own.

Empty as yet: launch, token exchange, sessions and views come with their own
issue. It may import `explanations`, `models` and `fhir_adapters`, never
`cds_service`.
"""
