"""The gateway as an operating system sees it: worker processes, their supervisor, listening sockets, key file."""
