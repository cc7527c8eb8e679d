"""Integer tensor programs: what a job computes."""
