"""Email by SMTP: the channel, its relays and their connections, MIME and DKIM."""
