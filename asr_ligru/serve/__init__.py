"""A web page of one's own that transcribes: ``asr-ligru serve``. Needs the extra ``web``."""
