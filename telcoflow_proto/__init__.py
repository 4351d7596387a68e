"""The pure protocol core of programmable phone calls: bytes and messages in, events out, frames out."""
