"""The models on this machine: listing, pulling, converting and removing them."""
