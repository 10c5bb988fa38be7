"""One pure module for each email service provider: its event bodies, verified and read into evidence."""
