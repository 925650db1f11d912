"""``pd report``: what a store holds and what it is worth, as one web page that needs nothing beside it."""
