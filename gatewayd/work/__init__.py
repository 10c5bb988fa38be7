"""The queues: an item is leased, done, and ended or put back."""
