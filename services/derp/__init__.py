"""Relay (DERP) and STUN: pure frames, login and routing state, and a thin shell of sockets around them."""
