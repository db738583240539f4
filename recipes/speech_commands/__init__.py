"""Speech Commands: single English words."""
