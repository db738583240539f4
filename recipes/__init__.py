"""One folder for each corpus: how it is prepared, where it comes from, what was measured on it."""
