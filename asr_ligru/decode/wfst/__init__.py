"""Decoding with a lexicon and a language model as one weighted finite-state transducer; the extra ``wfst``."""
