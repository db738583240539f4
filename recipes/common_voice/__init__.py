"""Common Voice: sentences read by volunteers, in more than a hundred languages."""
