"""A load generator that speaks the client protocol as thousands of devices, against any control server."""
