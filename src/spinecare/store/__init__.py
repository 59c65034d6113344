"""What is kept: database, files, jobs, accounts' rows, the audit log."""
