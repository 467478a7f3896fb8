"""What every page stands on: headers, error pages, message catalogues, markdown. Nothing of a chart."""
