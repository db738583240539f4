"""Tests of the package ``lm``."""
