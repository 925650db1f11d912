"""How segments of different objects are told to be the same part: by feature, by place, and one segment per part."""
