"""Lists of a chart: conditions, visits, medicines, plans and appointments; the patient."""
