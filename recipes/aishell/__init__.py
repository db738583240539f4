"""AISHELL-1: read Mandarin."""
