"""Generated pages about a model: the evaluation report, the model card, tables of figures."""
