"""All code of a service, in one loop."""
