//! Component `onboarding`.
