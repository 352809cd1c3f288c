"""The 26 public datasets in their official files: reading, checking, preparing. README.md has the layout."""
