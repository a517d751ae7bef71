"""What can be wrong with a link: one file a rule, from its struct and its words to what does it to frames.

`guestnet.link.settings` says which field of a link's settings takes which rule, and in which order frames
meet them.
"""
