"""Assessments as CDS Hooks cards, in the form that a kind of client can show. Pure; no route and no store."""
