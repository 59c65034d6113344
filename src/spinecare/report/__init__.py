"""The answer in the forms that others read."""
