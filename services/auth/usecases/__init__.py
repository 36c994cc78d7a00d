"""The use cases of auth, against the protocols of `store`: keys, registration, logins, sign-in, rights, SSH checks."""
