"""Who may join: pre-auth keys, API keys and pending logins. Knows nodes only by asking the registry."""
