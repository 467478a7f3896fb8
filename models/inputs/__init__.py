"""Which inputs the models take, and a chart as those inputs, with what is missing and why."""
