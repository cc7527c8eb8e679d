"""The bottom layer: types, encoding, hashing, state and storage that every other package builds on."""
