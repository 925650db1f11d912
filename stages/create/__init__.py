"""Creating a store: what a source of images holds, and the listing and pipeline that are made from it."""
