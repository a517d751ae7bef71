"""What a lab leaves behind: the journal (events as JSON lines) and the capture (frames as pcapng).

Written by the lab process (``recording.FileRecorder``), read by scenarios while it grows and by reports
long after (``query.Trace``). Nothing here needs a running lab.
"""
