//! Component `marketplaces`.
