"""Studies: what they are made of, and the driver that runs each of their cells once."""
