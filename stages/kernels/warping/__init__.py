"""Pictures seen through a view: turned, scaled and cut into a square, on the CPU or on a device."""
