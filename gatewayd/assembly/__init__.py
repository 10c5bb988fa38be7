"""How each part of the daemon is made of the configuration and of what it is given; service.py says which there are."""
