"""What our HTTP listeners share: ports, peers behind proxies, and a lean site for Klein's apps."""
