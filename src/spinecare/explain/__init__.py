"""Why: what in the picture, and which member, moved the answer."""
