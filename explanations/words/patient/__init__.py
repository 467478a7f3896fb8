"""The page that a patient can hold: education only. Nothing here knows a chart, a finding, a score or a person."""
