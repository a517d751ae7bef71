"""Services as machines: a request and the time in, an answer and journal events out."""
