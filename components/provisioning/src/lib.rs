//! Component `provisioning`.
