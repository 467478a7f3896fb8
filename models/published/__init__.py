"""A model that others published, as a comparator in silent evaluation. For one command; its door is `from_chart`."""
