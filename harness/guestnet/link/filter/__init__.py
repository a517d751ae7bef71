"""Which frames a rule is about: the language of filters, its terms, and the headers that they look at."""
