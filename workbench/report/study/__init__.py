"""A study's page, from what was collected of its cells, and what the figure.py of a study may use."""
