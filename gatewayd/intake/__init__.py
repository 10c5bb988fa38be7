"""Smartico's calls in: bytes to a Message that is stored once, or a Refused."""
