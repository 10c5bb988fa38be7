"""The world in a box: simulators of Smartico, SMSC, relay, vendor and players on real sockets; the tests use them."""
