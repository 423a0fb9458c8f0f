//! Component `discovery`.
