//! A lock-free bounded queue of byte records over any memory.
