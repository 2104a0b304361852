"""Who may come in: key files, and the file of those who are authorised."""
