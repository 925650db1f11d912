"""``pd report``: what a store holds and how good it is, as one self-contained web page."""
