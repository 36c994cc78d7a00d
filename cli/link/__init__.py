"""The connection of a command to a server: settings, channels, calls, and the server's refusals as messages."""
