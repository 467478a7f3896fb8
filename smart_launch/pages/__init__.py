"""What all pages share: language, headers, error pages, markdown. Nothing about a chart."""
