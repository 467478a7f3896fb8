"""Where resources come from: prefetch, a FHIR server, a Bundle. The only room that reads over the network."""
