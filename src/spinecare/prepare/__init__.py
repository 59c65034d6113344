"""From a scan to the small, clean picture that the members see."""
