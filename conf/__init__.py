"""Hydra's groups of settings: YAML files that pick values for the keys of ``asr_ligru.config``."""
