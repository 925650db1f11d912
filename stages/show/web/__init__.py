"""The store in a browser: a gallery, the life of an image, and further pages over one frame."""
