"""Chain specs: the constants networks are founded on, their presets and their JSON face."""
