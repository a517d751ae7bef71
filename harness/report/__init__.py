"""A run's journal and captures become one HTML file. Reads files only; never sees the runtime."""
