"""Email by SMTP: client, pool, MIME, returned mail."""
