//! Vectors, round trips, real servers, and what foreign bytes do.

mod decoding;
mod governing;
mod receiving;
mod round_trip;
mod settings;
mod transport;
mod vectors;
