"""The servers of a world, by kind (`guestnet.world.described.server.Server`).

One Python process runs most of them, each in the network namespace of its host:

- http, https: pages of every size, slow ones, ones that break off (`http`)
- packages, registry: what apt and container engines fetch (`packages`, `registry`)
- echo, half-close: TCP and UDP (`streams`)
- ntp: the lab's time (`ntp`)
- tarpit, reset, silent: servers that fail on purpose (`broken`); refuse is nothing at all, and prohibit a
  rule of nftables
- the faults of name servers (`faults`), and what captive portals answer (`asking`)

Processes of their own are dns (`dnsmasq`), iperf3 and proxy (mitmproxy: `proxy`). `running` runs in the lab,
`messages` is what it and our processes say to each other, `certificates` the authority that signs for all.
"""
