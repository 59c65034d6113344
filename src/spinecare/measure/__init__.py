"""Numbers measured on the raw crop."""
