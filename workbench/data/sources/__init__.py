"""One module per dataset, named as in the catalogue."""
