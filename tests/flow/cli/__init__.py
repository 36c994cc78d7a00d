"""The installed command line against running servers."""
