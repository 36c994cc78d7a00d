"""Administration over gRPC and REST under wrong use, from its door to its forms."""
