"""TED-LIUM: talks, cut into segments."""
