"""What the gateway makes of requests inside the tunnel, from the router to services and back."""
