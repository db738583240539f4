"""DIRHA-English-WSJ: sentences read in an apartment full of microphones."""
