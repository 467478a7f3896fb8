"""Survey rows to artifacts, and a site's own outcomes to a recalibrated version. Seeded; offline only."""
