"""The `headscale` / `smartscale` command: administration, and `serve` for any or all processes."""
