"""The front process: terminates every outside protocol; decides nothing, stores nothing."""
