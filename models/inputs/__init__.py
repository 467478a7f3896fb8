"""The model inputs, and a chart as those inputs, with what is missing and why."""
