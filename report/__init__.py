"""Results for people: tables in the terminal, pictures of predictions."""
