"""FHIR servers say that something came; the chart is read anew and judged by the rules. No card, no model."""
