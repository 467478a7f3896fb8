"""What is known of a model as pages: the evaluation report, the model card, tables of figures. Generated only."""
