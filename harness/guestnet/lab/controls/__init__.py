"""What carries out requests in the lab: guests, links, world and portals, sleep, commands on hosts."""
