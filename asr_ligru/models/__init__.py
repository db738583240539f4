"""Acoustic models: features in, log probabilities out."""
