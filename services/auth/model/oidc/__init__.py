"""OpenID Connect as pure values: documents and tokens in, a proven person or a refusal out. No socket, no clock."""
