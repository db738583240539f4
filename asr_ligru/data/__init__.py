"""Corpora: manifests, audio, batches."""
