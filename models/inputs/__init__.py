"""Which inputs the models take, and a record as those inputs, with what is missing and why."""
