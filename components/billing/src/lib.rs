//! Component `billing`.
