"""How good a model's texts are: scores, their intervals, comparisons, tables."""
