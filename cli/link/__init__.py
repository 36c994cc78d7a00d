"""How a command reaches a server, and how the refusals of the server are shown."""
