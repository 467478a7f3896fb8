"""Resources to a `PatientRecord` of typed facts. Pure; what cannot be read is kept with its reference."""
