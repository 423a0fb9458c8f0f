//! Component `invitations`.
