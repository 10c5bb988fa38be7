"""HTTP/1.1 as a client: kept connections, bounded answers, names looked up once at a time, verified TLS.

For whoever asks others over HTTP: the callbacks, the providers and the directories. No redirect is followed,
and no request is repeated: whether one may be, its asker knows.
"""
