"""The life of a process: start, signals, reload, clock, garbage collector, build information."""
