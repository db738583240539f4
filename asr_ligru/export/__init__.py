"""A trained model in the formats of others, and in one file."""
