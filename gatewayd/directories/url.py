"""The URL of a directory behind HTTP, and what stands for player and label in it. Pure."""

PLACE_HOLDERS = ("{ext_user_id}", "{label}")


def check_url(url: str) -> None:
    """Raises ValueError, naming the key, for a URL without {ext_user_id}, or with place-holders in its host."""
    host, slash, _ = url.partition("://")[2].partition("/")
    if "{" in host or not slash:
        raise ValueError("url: place-holders belong into the path or the query")
    if PLACE_HOLDERS[0] not in url:
        raise ValueError("url: has no {ext_user_id}")
    rest = url.replace(PLACE_HOLDERS[0], "").replace(PLACE_HOLDERS[1], "")
    if "{" in rest or "}" in rest:
        raise ValueError("url: the place-holders are {ext_user_id} and {label}")
