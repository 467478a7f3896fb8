"""Assessments as CDS Hooks cards, adapted to the kind of client. Pure; no route and no store."""
