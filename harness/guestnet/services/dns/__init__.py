"""DNS as machines: our own names, the service that answers with them or forwards, and how one forwards."""
