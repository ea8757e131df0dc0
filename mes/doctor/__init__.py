"""`mes doctor`: what would lose data or stop a line, found by looking and by trying, and what to do about it.

What a broker's manual promises proves nothing: it is tried, with a client id and topics of the doctor's own that nobody
listens to, and everything is taken away again.
"""
