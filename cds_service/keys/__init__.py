"""The deployment's own secret, and public keys of CDS clients. `trust` decides who may call."""
