"""What may go over a network unencrypted: nothing, unless it stays on this machine or the table says so.

Pure. One rule for the tables whose connections carry players' data (CONTRACT.md, `clear_text`).
"""

import ipaddress


def beyond_loopback(host: str) -> bool:
    """Whether a connection to `host` (a name, or an address with or without brackets) may leave this machine."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name != "localhost" and not name.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_loopback
