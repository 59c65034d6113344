"""The whole way of a scan, in one readable function."""
