"""Reading the vectors of some values of a column, such as an object class, without those of the others."""
