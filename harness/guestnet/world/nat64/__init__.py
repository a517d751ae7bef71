"""NAT64 and DNS64 (RFC 6146, RFC 6147): how an IPv6-only laptop reaches servers that have IPv4 only."""
