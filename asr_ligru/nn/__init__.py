"""Recurrent layers and what surrounds them, as torch modules."""
