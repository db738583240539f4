"""waves_yesno: one man says yes and no in Hebrew, eight words a file, 8 kHz."""
