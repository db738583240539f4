"""Faults provoked on purpose."""
