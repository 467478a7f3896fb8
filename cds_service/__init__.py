"""The CDS Hooks shell: the only place that wires things together."""
