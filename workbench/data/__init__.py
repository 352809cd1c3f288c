"""From raw files or the emoji world to batches: sources, preparation, features, templates, mixture."""
