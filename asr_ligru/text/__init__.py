"""Text: normalisation, tokens, lexicons."""
