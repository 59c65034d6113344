"""Clinical numbers, as JSON with their source, version and date; read by `spinecare.clinical.rules`."""
