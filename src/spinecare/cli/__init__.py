"""The `spinecare` command: one file a command group."""
