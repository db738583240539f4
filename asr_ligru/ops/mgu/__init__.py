"""The minimal gated unit (MGU): one gate resets and updates."""
