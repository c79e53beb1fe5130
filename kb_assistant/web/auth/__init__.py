"""Access to the server: accounts, API keys, sessions and the login form."""
