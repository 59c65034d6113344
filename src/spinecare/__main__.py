"""`python -m spinecare` is the `spinecare` command."""

from spinecare.cli.main import main

main()
