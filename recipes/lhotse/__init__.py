"""Corpora that lhotse knows."""
