"""OpenID Connect as pure functions: documents and tokens in, an identity or a refusal out. No socket, no clock."""
