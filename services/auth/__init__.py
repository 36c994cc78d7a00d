"""The auth service: keys, pending logins, sign-ins and SSH checks, so who may join. Nodes are the registry's."""
