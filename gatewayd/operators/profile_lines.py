"""A ready profile of a provider as `gatewayctl providers` tells it: where it is from, and the lines to paste."""

from gatewayd.config.profiles import Profile
from gatewayd.core.model import Json

_TO_PASTE = (
    ("Url", "url", '"..."    # {}'),
    ("Username", "username", '"..."    # {}'),
    ("Password", "password", '"file:/etc/gatewayd/secrets/NAME"    # {}'),
)


def profile_json(profile: Profile) -> Json:
    """All of it, as JSON has it."""
    head = profile.head
    lines = ["[providers.NAME]", f'profile = "{profile.name}"']
    for title, key, form in _TO_PASTE:
        if title in head and (key != "url" or "url" not in profile.keys):
            lines.append(f"{key} = {form.format(head[title])}")
    if "Secret" in head:
        lines += [
            "[providers.NAME.reports]",
            f'secret = "file:/etc/gatewayd/secrets/NAME.reports"    # {head["Secret"]}',
        ]
    return {
        "profile": profile.name,
        "title": head.get("Title", ""),
        "source": head.get("Source", ""),
        "read": head.get("Read", ""),
        "console": head.get("Console", ""),
        "note": head.get("Note", ""),
        "lines": lines,
    }
