"""What every page stands on: its language, headers, error pages, markdown. Nothing of a chart."""
