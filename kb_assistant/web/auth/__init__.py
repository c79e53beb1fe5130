"""Who may use the server: accounts, API keys, sessions and the login page."""
