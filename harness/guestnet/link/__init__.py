"""What lies between the ends of a cable: cables with their impairments, and the switch that joins them."""
