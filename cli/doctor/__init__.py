"""`headscale doctor`: examines an installation from inside and outside. Changes nothing; owns no check of sign-in."""
