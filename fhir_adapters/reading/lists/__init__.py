"""Lists of a chart: conditions, visits, medicines, risk assessments, plans and appointments; the patient."""
