"""Relay (DERP) and STUN: sans-IO frames, login and routing state, with a thin layer of sockets around them."""
