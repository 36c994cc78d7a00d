"""How a connection becomes a tunnel: the upgrade and the WebSocket, as bytes on real sockets."""
