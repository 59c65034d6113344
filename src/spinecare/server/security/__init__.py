"""Who may do what, and what every answer carries."""
