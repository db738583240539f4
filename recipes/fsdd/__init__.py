"""Free Spoken Digit Dataset: single digits by six speakers, 8 kHz."""
