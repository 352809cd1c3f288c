"""From run records to tables, statistics, figures and pages; needs neither torch nor MLflow."""
