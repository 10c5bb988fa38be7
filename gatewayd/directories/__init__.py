"""Recipient directories: where a player id becomes an address."""
