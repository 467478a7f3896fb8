"""Where resources come from: prefetch, a FHIR server, a Bundle. The only package that reads over the network."""
