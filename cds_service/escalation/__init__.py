"""Somebody is told of an acute answer: one escalation a patient, its contacts in turn. Rows and acts; no network."""
