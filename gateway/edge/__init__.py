"""The sockets: HTTP and the upgrade, the tunnel of Noise and HTTP/2 inside it."""
