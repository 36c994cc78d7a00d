"""Commands of the server itself: `serve`, `version`, `configtest`, `health`, `debug`, `dumpConfig`."""
