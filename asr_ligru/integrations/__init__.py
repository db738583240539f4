"""Cells and data for other toolkits."""
