"""The services we offer, and the path of a call from request to audit record. No clinical decisions."""
