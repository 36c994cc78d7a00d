"""`headscale oidc` and `mockoidc`: the identity provider as an administrator examines it."""
