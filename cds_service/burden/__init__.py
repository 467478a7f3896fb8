"""What was shown to whom, and what came of it: the history behind held-back cards, figures, the stop rule."""
