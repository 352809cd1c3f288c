"""Generation, ranking and the metrics."""
