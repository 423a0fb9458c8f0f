//! Somebody else's host: Spin, when the machine has one that can run the components.

use std::path::PathBuf;

use crate::shell;

/// The first Spin on PATH that speaks the final WASI 0.3, or why there is none.
pub fn find() -> Result<PathBuf, String> {
    let Ok(text) = shell::capture(shell::command("spin").arg("--version")) else {
        return Err("no spin on PATH".into());
    };
    match version(&text) {
        Some(version) if version >= (4, 1) => Ok("spin".into()),
        _ => Err(format!("spin 4.1 or newer is needed, on PATH is {}", text.trim())),
    }
}

/// Major and minor out of `spin 4.1.0 (abc 2026-09-01)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(version("spin 4.1.0-pre0 (1a2b3c4 2026-09-01)\n"), Some((4, 1)));
        assert!(version("spin 4.10.0").unwrap() > (4, 2));
        assert_eq!(version("no idea"), None);
    }
}
