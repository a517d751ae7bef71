"""What surrounds the stack: the laptop, hosts, links and servers, described once and built in namespaces."""
