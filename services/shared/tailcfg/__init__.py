"""Client wire types: untrusted requests decoded and bounded, the map's node encoded, names, times, addresses. Pure."""
