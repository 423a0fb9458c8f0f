//! Component `scheduler`.
