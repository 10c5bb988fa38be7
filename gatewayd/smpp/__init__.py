"""SMS by SMPP 3.4: codec, session, links and the channel over them."""
