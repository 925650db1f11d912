"""How points and pixels are grouped: k-means of many starts, on a CPU and on a GPU."""
