"""Mining: where work comes from, the devices that do it, and the processes that are watched over on the way."""
