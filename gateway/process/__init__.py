"""The gateway as an operating-system process: workers, their supervisor, listening sockets, key file, certificates."""
