"""The services that we offer, and the path of a call from request to record. Nothing clinical is decided here."""
