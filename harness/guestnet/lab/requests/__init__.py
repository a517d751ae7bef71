"""What the lab can be asked, and how requests and answers travel."""
