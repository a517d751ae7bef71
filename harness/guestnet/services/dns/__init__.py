"""DNS as machines: our own names (`names`), and the `service` that answers with them or forwards."""
