"""Acoustic features, their normalisation and augmentation."""
