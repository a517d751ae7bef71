"""What hosts are to the kernel: namespaces, mounts, forwarding and NAT, and the age of what it tracks."""
