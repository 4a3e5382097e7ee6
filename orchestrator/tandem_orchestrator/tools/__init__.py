"""Tools that run on the server, one a file, behind the protocol in `tool`."""
