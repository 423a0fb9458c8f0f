//! Attacks, each a module of this one binary: `cargo xtask test attack`. Those in `sockets` measure a hub that runs as a process of its
//! own, so nothing else may run beside them; the others are stories on simulated time like the integration tests.
mod backup;
mod child;
mod customers_word;
mod prehijack;
mod sign_ins;
mod sockets;
