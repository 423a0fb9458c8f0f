//! Component `support`.
