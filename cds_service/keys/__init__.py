"""The deployment's own secret, and public keys of CDS clients. No rule about who may call: that is `trust`."""
