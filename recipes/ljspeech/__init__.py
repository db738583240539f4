"""LJ Speech: one woman reads seven books."""
