"""`headscale preauthkeys`, `apikeys`, `auth`, `oauth-clients` and `generate`: secrets and logins."""
